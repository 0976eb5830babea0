"""The pair-trained generator: who trains it, that it learns, and how the gap is counted."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.phantom import StudyDesign, make_person, make_scanners
from bids_harmonize.phantom.design import plan_people
from bids_harmonize.phantom.presets import PRESETS
from tests.benchmarks.pair_ceiling import gap_to_ceiling, pair_harmonizer, true_pairs
from tests.benchmarks.phantom_scans import ArrayVolumes, same_place, scan_person, study_session
from tests.harmonizers.small_study import cpu_runtime

DESIGN = StudyDesign(n_per_site=1, n_travelling=1, resolution_mm=6.0, seed=5)
SITES = ("SiteA", "SiteB")


@pytest.fixture(scope="module")
def pairs():
    return true_pairs(DESIGN, SITES)


def _traveller():
    """The travelling subject at both sites, with the head in one place."""
    (planned,) = (one for one in plan_people(DESIGN) if one.site is None)
    head = make_person(DESIGN.seed, planned.label, traits=planned.traits, base_mm=DESIGN.base_mm)
    own, other = (study_session(DESIGN.seed, planned.label, site) for site in SITES)
    scanners = make_scanners(PRESETS["default"], n_sites=2, resolution_mm=6.0, seed=DESIGN.seed)
    words = {"participant_id": planned.participant_id, "resolution_mm": 6.0}
    first = scan_person(head, scanners[0], own, **words)
    second = scan_person(head, scanners[1], same_place(other, own), grid=first.grid, **words)
    return ArrayVolumes([first, second])


def test_everybody_of_both_sites_trains_and_nobody_who_travels(pairs):
    names = [(first.participant_id, first.site, second.site) for first, second in pairs]
    people = ("sub-A001", "sub-B001")
    assert names == [(name, "SiteA", "SiteB") for name in people]


def test_both_scans_of_a_pair_show_the_same_voxels(pairs):
    for first, second in pairs:
        assert np.array_equal(first.affine, second.affine)
        overlap = 2 * (first.head & second.head).sum() / (first.head.sum() + second.head.sum())
        assert overlap > 0.99
        for one, other in zip(first.shares, second.shares, strict=True):
            assert np.abs(one - other).max() < 1e-6
        correlation = np.corrcoef(first.volume[first.brain], second.volume[first.brain])[0, 1]
        assert 0.9 < correlation < 0.999


def test_it_brings_the_scan_of_somebody_new_nearer_to_the_real_one():
    frame = Frame("SiteB", ("SiteA",), 6.0, "brain")
    harmonizer = pair_harmonizer(
        DESIGN, frame, runtime=cpu_runtime(), high={"SiteA": 1.0, "SiteB": 1.0}, n_iterations=60
    )
    scans = _traveller()
    volumes, heads = zip(*((scans.volume(n), scans.head_mask(n)) for n in (0, 1)), strict=True)
    inside = heads[0] & heads[1]
    for there, back in ((0, 1), (1, 0)):
        made = harmonizer.transform(
            volumes[there],
            site=SITES[there],
            to_site=SITES[back],
            head_mask=heads[there],
            brain_mask=scans.brain_mask(there),
        )
        after, before = (
            np.abs(image - volumes[back])[inside].mean() for image in (made, volumes[there])
        )
        assert after < 0.9 * before
        assert (made[~heads[there]] == 0).all()


def test_the_gap_is_the_way_from_identity_to_the_pair_trained_generator():
    keys = {"kind": "direct", "source_site": "SiteA", "target_site": "SiteB", "mask": "brain"}
    means = {"identity": (20.0, 0.80), "localhistogram": (24.0, 0.89), "nyul": (19.0, 0.80)}
    methods = pd.DataFrame(
        {**keys, "metric": metric, "method": method, "mean": values[place]}
        for method, values in means.items()
        for place, metric in enumerate(("psnr", "ssim"))
    )
    ceiling = pd.DataFrame(
        [
            {**keys, "metric": "psnr", "ceiling": 25.0},
            {**keys, "metric": "ssim", "ceiling": 0.79},  # worse than doing nothing: no scale
        ]
    )
    gaps = gap_to_ceiling(methods, ceiling).set_index(["metric", "method"])["gap_to_pair_trained"]
    assert gaps["psnr", "localhistogram"] == pytest.approx(0.8)
    assert gaps["psnr", "nyul"] == pytest.approx(-0.2)
    assert gaps["psnr", "identity"] == 0
    assert gaps["ssim"].isna().all()
