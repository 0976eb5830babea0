"""The verdict of the harmonizer's benchmark: targets, features, and what tables say."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.imaging.texture import image_features
from tests.benchmarks.harmonizer_findings import (
    over_seeds,
    probe_findings,
    structure_findings,
    table_findings,
)
from tests.benchmarks.harmonizer_structure import Structure
from tests.benchmarks.harmonizer_targets import TARGETS, verdicts
from tests.benchmarks.image_features import median_effect

GOOD = {
    "gap_ssim": 0.9, "ahead_db": 2.5, "never_below_db": 0.3, "sharpness": 1.0, "high_pass": 0.97,
    "contrast": 0.9, "volume": 1.1, "away": 0.01, "outside": 0.0, "old_probe": 0.95,
    "feature_d": 0.3, "slope": 0.02,
}  # fmt: skip
BAD = {
    "gap_ssim": 0.8, "ahead_db": 1.9, "never_below_db": -0.1, "sharpness": 1.1, "high_pass": 0.94,
    "contrast": 0.7, "volume": 1.2, "away": 0.03, "outside": 1e-6, "old_probe": 0.8,
    "feature_d": 0.4, "slope": 0.06,
}  # fmt: skip


def _brain(seed: int, *, field: float = 0.0, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """A round brain of two tissues with a coil field along the first axis, and its mask."""
    rng = np.random.default_rng(seed)
    i, j, k = np.meshgrid(*[np.linspace(-1, 1, n) for n in (20, 22, 20)], indexing="ij")
    radius = np.sqrt(i**2 + j**2 + k**2)
    brain = radius < 0.85
    volume = np.where(radius < 0.5 + 0.05 * rng.standard_normal(), 1.0, 0.65) * (1 + field * i)
    volume += noise * rng.standard_normal(volume.shape)
    return np.where(brain, 400 * volume, 0).astype(np.float32), brain


def test_every_target_has_a_number_that_meets_it_and_one_that_misses():
    assert [target.name for target in TARGETS] == list(GOOD) == list(BAD)
    assert all(line.endswith(": ok") for line in verdicts(GOOD))
    assert all(line.endswith(": misses") for line in verdicts(BAD))


def test_what_was_not_measured_is_neither_met_nor_missed():
    lines = verdicts({**GOOD, "old_probe": float("nan"), "slope": float("nan")})
    assert (
        "share taken for the reference by the old probe: not measured here (see --probe)" in lines
    )
    assert sum(line.endswith(": ok") for line in lines) == len(TARGETS) - 2


def test_features_do_not_mind_the_gain_and_see_a_coil_field():
    volume, brain = _brain(0)
    once, again = image_features(volume, brain), image_features(3 * volume, brain)
    assert len(once) == 90
    assert again == pytest.approx(once, rel=1e-5)
    tilted = image_features(*_brain(0, field=0.2))
    assert tilted["octant7_mean"] - tilted["octant0_mean"] > 0.05
    assert abs(once["octant7_mean"] - once["octant0_mean"]) < 0.02
    noisy = image_features(*_brain(0, noise=0.1))
    assert noisy["brain_laplacian"] > 1.7 * once["brain_laplacian"]


def test_the_median_effect_is_small_for_one_scanner_and_large_for_two():
    one, other, far = (
        [image_features(*_brain(seed, noise=noise)) for seed in seeds]
        for seeds, noise in ((range(8), 0.02), (range(10, 18), 0.02), (range(20, 28), 0.06))
    )
    assert median_effect(one, one) == 0
    assert median_effect(one, other) < 0.8
    assert median_effect(one, far) > 3 * median_effect(one, other)


def test_tables_give_the_distance_to_the_best_rival_and_the_gap():
    keys = {"kind": "direct", "source_site": "SiteA", "target_site": "SiteB", "mask": "brain"}
    values = {"identity": 20.0, "nyul": 22.0, "histogram": 21.0, "localhistogram": 24.5}
    rows = [{**keys, "metric": "psnr", "method": m, "mean": v} for m, v in values.items()]
    rows += [{**keys, "metric": "sharpness", "method": "localhistogram", "mean": 1.02}]
    rows += [{**row, "kind": "reverse", "mean": 99.0} for row in rows]
    gaps = pd.DataFrame(
        {**keys, "metric": metric, "method": "localhistogram", "gap_to_pair_trained": value}
        for metric, value in (("ssim", 0.86), ("psnr", 0.91))
    )
    found = table_findings(
        pd.DataFrame(rows), method="localhistogram", source_site="SiteA", gaps=gaps
    )
    assert found == pytest.approx(
        {"ahead_db": 2.5, "sharpness": 1.02, "gap_ssim": 0.86, "gap_psnr": 0.91}
    )


def test_the_old_probe_is_the_frozen_one_of_the_method():
    probes = pd.DataFrame(
        {
            "method": ["identity", "cyclegan", "cyclegan"],
            "probe": ["frozen", "frozen", "reseeded"],
            "share_reference": [0.1, 0.95, np.nan],
        }
    )
    assert probe_findings(probes, method="cyclegan") == {"old_probe": 0.95}
    assert probe_findings(probes, method="localhistogram") == {}
    assert probe_findings(pd.DataFrame(), method="cyclegan") == {}


def test_means_over_people_and_seeds_but_the_worst_of_what_must_not_be():
    people = [Structure(0.9, 1.0, 0.01, 0.97, 0.0), Structure(1.0, 1.2, 0.03, 0.99, 0.0)]
    found = structure_findings(people)
    assert found == pytest.approx(
        {"contrast": 0.95, "volume": 1.1, "high_pass": 0.98, "away": 0.03, "outside": 0.0}
    )
    seeds = over_seeds([{"ahead_db": 3.0, "x": 1.0}, {"ahead_db": -1.0, "x": float("nan")}])
    assert seeds == {"ahead_db": 1.0, "x": 1.0, "never_below_db": -1.0}
