"""What a model took for the site's stands in its files and on its card."""

import json

import pytest

from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import FitReport
from bids_harmonize.harmonizers.model_card import make_card
from bids_harmonize.harmonizers.site_shares import SITE_SHARES
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from tests.harmonizers.small_study import VOXEL_MM, cpu_runtime, make_data

WAYS = {"pairwise": [("A", "B"), ("B", "A")], "joint": [("A", "B")]}
TITLE = "## What was taken for the site's"
SHORT = {"n_iterations": 2, "check_every": 2}


def fitted(folder, *, sources="pairwise", **settings):
    harmonizer = make_harmonizer(
        "localhistogram", reference_site="B", source_sites=("A",), voxel_size_mm=VOXEL_MM,
        settings={**SHORT, **settings}, sources=sources,
    )  # fmt: skip
    harmonizer.fit(make_data(), runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False)
    return harmonizer


def card_of(harmonizer):
    return make_card(harmonizer, FitReport(), n_participants={"A": 4, "B": 4})


@pytest.mark.parametrize("sources", ["pairwise", "joint"])
def test_each_way_has_its_shares_in_model_json_and_on_the_card(tmp_path, sources):
    harmonizer = fitted(tmp_path, sources=sources)
    save_harmonizer(harmonizer, tmp_path / "model", provenance={})
    rows = json.loads((tmp_path / "model/model.json").read_text())["learnt"][SITE_SHARES]
    assert [(row["from"], row["to"]) for row in rows] == WAYS[sources]
    assert all(0.8 < row["intensity"] <= 1 for row in rows)  # the sites' coils differ
    card = card_of(load_harmonizer(tmp_path / "model"))
    assert card == card_of(harmonizer)
    assert card.count(TITLE) == 1
    assert f"| A | B | {rows[0]['intensity']:.2f} | {rows[0]['gradient']:.2f} |" in card


def test_plain_means_have_none(tmp_path):
    harmonizer = fitted(tmp_path, splits_differences=False)
    _, learnt = harmonizer.capture()
    assert learnt[SITE_SHARES] == []
    assert TITLE not in card_of(harmonizer)


@pytest.mark.parametrize("sources", ["pairwise", "joint"])
def test_a_model_from_before_has_none(tmp_path, sources):
    harmonizer = fitted(tmp_path, sources=sources)
    tensors, learnt = harmonizer.capture()
    del learnt[SITE_SHARES]
    harmonizer.restore(tensors, learnt)
    assert TITLE not in card_of(harmonizer)
