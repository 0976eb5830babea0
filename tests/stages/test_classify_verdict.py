"""The two answers of the stage: every branch of the rule, by numbers."""

import numpy as np
import pytest

from bids_harmonize.stages.classification.verdict import site_verdict
from bids_harmonize.training.saliency import DEFAULT_METHOD


def row(model, low, high, *, p=0.001):
    return {
        "model": model, "split": "validation", "balanced_accuracy": (low + high) / 2,
        "balanced_low": low, "balanced_high": high, "chance": 0.5, "p_permutation": p,
    }  # fmt: skip


def verdict(
    *, network=(0.9, 1.0), p=0.001, brain=(0.8, 0.95), outside=(0.5, 0.9), ratio=1.5, passed=True
):
    accuracy = [row("network", *network, p=p)]
    accuracy += [row(name, *ends) for name, ends in
                 (("brainonly", brain), ("headwithoutbrain", outside)) if ends]  # fmt: skip
    shares = [
        {"participant_id": f"sub-{n}", "method": DEFAULT_METHOD, "brain_ratio": ratio + 0.01 * n}
        for n in range(-5, 6)
    ]
    checks = [
        {"check": check, "site": "all", "passed": passed}
        for check in ("deletion", "randomisation")
    ]
    rows = site_verdict(accuracy, shares, checks, rng=np.random.default_rng(0))
    return {found["question"]: (found["answer"], found["reason"]) for found in rows}


def test_maps_in_a_brain_that_names_the_site_alone_are_a_yes():
    found = verdict()
    assert found["site_visible"][0] == "yes"
    assert found["decides_inside_brain"][0] == "yes"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"network": (0.45, 0.7)}, "not shown to name the site"),
        ({"p": 0.2}, "not shown to name the site"),
        ({"brain": None}, "control brainonly was not computed"),
        ({"outside": None}, "control headwithoutbrain was not computed"),
        ({"passed": None}, "were not checked by deletion"),
        ({"passed": False}, "failed the check by deletion"),
    ],
)
def test_what_is_missing_or_failed_cannot_tell_and_says_why(case, words):
    answer, reason = verdict(**case)["decides_inside_brain"]
    assert answer == "cannot tell"
    assert words in reason


@pytest.mark.parametrize("case", [{"network": (0.45, 0.7)}, {"p": 0.2}])
def test_a_site_is_not_visible_by_its_interval_or_by_its_permutations(case):
    assert verdict(**case)["site_visible"][0] == "no"


@pytest.mark.parametrize(
    "case",
    [
        {"ratio": 0.7, "outside": (0.8, 0.95)},
        {"ratio": 1.0, "brain": (0.4, 0.6), "outside": (0.8, 0.95)},
    ],
)
def test_a_head_without_brain_that_names_the_site_is_a_no(case):
    assert verdict(**case)["decides_inside_brain"][0] == "no"


def test_maps_and_retraining_that_disagree_cannot_tell():
    assert verdict(ratio=1.5, brain=(0.4, 0.6), outside=(0.45, 0.7))["decides_inside_brain"][
        0
    ] == ("cannot tell")
