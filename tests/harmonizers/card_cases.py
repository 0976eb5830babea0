"""Cards of the small heads, for the tests of cards."""

import torch

from bids_harmonize.harmonizers.card import load_cards, save_card
from bids_harmonize.harmonizers.card_making import make_card
from tests.harmonizers.small_study import make_volumes

SITE_WORDS = {"licence": "CC0-1.0", "scaling_mask": "brain", "study_voxel_size_mm": 8.0}


def indices_of(volumes, site):
    return [n for n, scan in enumerate(volumes.scans) if scan.site == site]


def made_card(*, n_people=12, site="B", noise=0.0, seed=0):
    volumes = make_volumes(n_people)
    return make_card(
        volumes, indices_of(volumes, site), noise=noise, seed=seed, device=torch.device("cpu")
    )


def write_card(folder, *, name="B", changed=None, histograms=None, **options):
    """A card on disk; ``changed`` replaces what its model.json says."""
    numbers, described = made_card(**options)
    model = {"reference_site": name, **SITE_WORDS, **described, **(changed or {})}
    save_card(folder, numbers if histograms is None else histograms, model)
    return folder


def loaded_card(folder, **options):
    (card,), faults = load_cards([write_card(folder, **options)])
    assert faults == []
    return card
