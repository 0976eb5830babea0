import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.evaluation.verdict import (
    AS_SHARP,
    CLOSER_THAN_BASELINE,
    CLOSER_THAN_RAW,
    LESIONS_KEPT,
    MORE_ALIKE_THAN_BASELINE,
    MORE_ALIKE_THAN_RAW,
    RECOGNISED,
    SITE_UNREADABLE,
    TRAINED_APART,
    Evidence,
    verdict_table,
)

GAINS = {"identity": 0.0, "nyul": 3.0, "cyclegan": 5.0}


def _travelling(gains=GAINS, sharpness=1.0):
    rows = []
    for number in range(6):
        for method, gain in gains.items():
            shared = {
                "participant_id": f"sub-{number}",
                "source_site": "B",
                "target_site": "A",
                "kind": "direct",
                "method": method,
                "mask": "brain",
            }
            jitter = 0.2 * (number % 3) * (method != "identity")
            rows.append({**shared, "metric": "psnr", "value": 20.0 + gain + jitter})
            rows.append({**shared, "metric": "sharpness", "value": sharpness})
    return pd.DataFrame(rows)


def _probes(raw=(0.95, 0.85), made=(0.9, 0.8)):
    return pd.DataFrame(
        [
            {
                "method": name,
                "probe": probe,
                "sites": "all",
                "balanced_accuracy": value,
                "low": low,
                "chance": 0.5,
                "leak_suspected": None if probe == "frozen" else False,
            }
            for name, (value, low) in (("identity", raw), ("cyclegan", made))
            for probe in ("frozen", "reseeded")
        ]
    )


def _looked_up(before, after, *, n=6, gallery=26):
    """So many of n people found by the raw and by the harmonized image."""
    return pd.DataFrame(
        [
            {"participant_id": f"sub-{number}", "source_site": "B", "method": method,
             "gallery": gallery, "found": float(number < found)}
            for method, found in (("identity", before), ("cyclegan", after))
            for number in range(n)
        ]
    )  # fmt: skip


def _lesions(dark=(1.0, 1.0), bright=(1.0, 1.0)):
    return pd.DataFrame(
        [
            {"method": "cyclegan", "participant_id": f"sub-{number}", "lesion": lesion,
             "contrast": contrast + shift, "volume": volume}
            for lesion, (contrast, volume) in (("dark", dark), ("bright", bright))
            for number, shift in enumerate((-0.02, 0.02))
        ]
    )  # fmt: skip


NOBODY = pd.DataFrame(columns=["participant_id", "source_site", "method", "gallery", "found"])
NO_LESION = pd.DataFrame(columns=["method", "participant_id", "lesion", "contrast", "volume"])


def _answer(
    question,
    *,
    travelling=None,
    probes=None,
    found=NOBODY,
    lesions=NO_LESION,
    seen=frozenset(),
    column="answer",
):
    evidence = Evidence(
        _travelling() if travelling is None else travelling,
        _probes() if probes is None else probes,
        found,
        lesions,
        seen={"cyclegan": seen},
    )
    table = verdict_table(
        evidence,
        methods=["cyclegan"],
        training_free=["identity", "nyul"],
        rng=np.random.default_rng(0),
    )
    return table.set_index("question").loc[question, column]


def test_a_clear_gain_is_closer_than_raw_and_than_the_baseline():
    assert _answer(CLOSER_THAN_RAW) == "yes"
    assert _answer(CLOSER_THAN_RAW, column="value") == pytest.approx(5.2, abs=1e-9)
    assert _answer(CLOSER_THAN_BASELINE) == "yes"
    assert "against nyul, 6 people" in _answer(CLOSER_THAN_BASELINE, column="source")


def test_a_loss_against_the_baseline_is_a_no():
    travelling = _travelling({"identity": 0.0, "nyul": 3.0, "cyclegan": 1.0})
    assert _answer(CLOSER_THAN_BASELINE, travelling=travelling) == "no"
    assert _answer(CLOSER_THAN_RAW, travelling=travelling) == "yes"


def test_a_difference_whose_interval_holds_zero_is_no_answer():
    travelling = _travelling()
    cyclegan = (travelling["method"] == "cyclegan") & (travelling["metric"] == "psnr")
    travelling.loc[cyclegan, "value"] = [19.0, 21.0, 20.5, 19.5, 22.0, 18.0]
    assert _answer(CLOSER_THAN_RAW, travelling=travelling) == "cannot tell"


def test_one_person_is_no_answer():
    one = _travelling()
    one = one[one["participant_id"] == "sub-0"]
    assert _answer(CLOSER_THAN_RAW, travelling=one) == "cannot tell"


@pytest.mark.parametrize(
    ("ratio", "answer", "words"),
    [(0.8, "no", "blurrier"), (1.2, "no", "noisier"), (1.05, "yes", "as sharp")],
)
def test_sharpness_outside_a_tenth_is_a_no(ratio, answer, words):
    travelling = _travelling(sharpness=ratio)
    assert _answer(AS_SHARP, travelling=travelling) == answer
    assert words in _answer(AS_SHARP, travelling=travelling, column="source")


def test_a_fresh_probe_above_chance_means_that_the_site_is_not_hidden():
    assert _answer(SITE_UNREADABLE) == "no"


def test_a_fresh_probe_at_chance_counts_only_if_it_reads_the_raw_images():
    hidden = _probes(made=(0.55, 0.35))
    assert _answer(SITE_UNREADABLE, probes=hidden) == "yes"
    weak = _probes(raw=(0.6, 0.4), made=(0.55, 0.35))
    assert _answer(SITE_UNREADABLE, probes=weak) == "cannot tell"


def test_without_travelling_subjects_and_probes_nothing_can_be_told():
    travelling = _travelling().iloc[:0]
    probes = _probes().assign(balanced_accuracy=np.nan)
    for question in (CLOSER_THAN_RAW, CLOSER_THAN_BASELINE, AS_SHARP, SITE_UNREADABLE):
        assert _answer(question, travelling=travelling, probes=probes) == "cannot tell"


def test_agreement_answers_where_nobody_was_scanned_at_the_target():
    agreed = _travelling({"identity": 0.0, "nyul": 3.0, "cyclegan": 2.0}).assign(kind="agreement")
    agreed = agreed[agreed["metric"] == "psnr"]
    assert _answer(MORE_ALIKE_THAN_RAW, travelling=agreed) == "yes"
    assert _answer(MORE_ALIKE_THAN_BASELINE, travelling=agreed) == "no"
    assert "agreement, against nyul" in _answer(
        MORE_ALIKE_THAN_BASELINE, travelling=agreed, column="source"
    )
    assert _answer(AS_SHARP, travelling=agreed) == "cannot tell"
    with pytest.raises(KeyError):
        _answer(CLOSER_THAN_RAW, travelling=agreed)


def test_everybody_recognised_before_and_after_is_recognised():
    assert _answer(RECOGNISED, found=_looked_up(6, 6)) == "yes"
    assert _answer(RECOGNISED, found=_looked_up(6, 6), column="value") == 1.0
    source = _answer(RECOGNISED, found=_looked_up(6, 6), column="source")
    assert source.endswith("6 people, each among 26; 6 by the raw image, 6 by the harmonized one")


def test_one_person_lost_of_six_cannot_tell_and_most_of_them_lost_is_no():
    assert _answer(RECOGNISED, found=_looked_up(6, 5)) == "cannot tell"
    assert _answer(RECOGNISED, found=_looked_up(6, 2)) == "no"


def test_everybody_alike_is_no_however_few_they_are():
    assert _answer(RECOGNISED, found=_looked_up(3, 0, n=3, gallery=23)) == "no"


def test_a_raw_image_that_is_not_recognised_either_cannot_tell():
    assert _answer(RECOGNISED, found=_looked_up(0, 0)) == "cannot tell"
    assert _answer(RECOGNISED, found=_looked_up(1, 1, n=1, gallery=2)) == "cannot tell"


def test_nobody_who_travels_cannot_tell_whether_people_are_recognised():
    assert _answer(RECOGNISED) == "cannot tell"


def test_lesions_are_kept_where_contrast_and_volume_of_both_kinds_are():
    assert _answer(LESIONS_KEPT, lesions=_lesions(dark=(0.85, 1.1))) == "yes"
    assert _answer(LESIONS_KEPT, lesions=_lesions(dark=(0.85, 1.1)), column="value") == 0.85
    source = _answer(LESIONS_KEPT, lesions=_lesions(), column="source")
    assert source.startswith("group_lesions: 2 people; bright: contrast 1.00, volume 1.00; dark")


@pytest.mark.parametrize(
    "lesions",
    [
        {"dark": (0.75, 1.0)},
        {"bright": (1.96, 1.0)},
        {"bright": (1.0, 1.3)},
        {"dark": (0.0, np.nan)},
    ],
)
def test_a_lesion_that_fades_grows_or_is_doubled_is_not_kept(lesions):
    assert _answer(LESIONS_KEPT, lesions=_lesions(**lesions)) == "no"


def test_no_lesion_cannot_tell():
    assert _answer(LESIONS_KEPT) == "cannot tell"


def test_who_trained_on_the_people_it_is_judged_on_gets_no_good_answer_about_them():
    seen = frozenset({"sub-0", "sub-3"})
    assert _answer(TRAINED_APART, seen=seen) == "no"
    source = _answer(TRAINED_APART, seen=seen, column="source")
    assert source == "training.tsv: sub-0, sub-3 of 6 people who travel"
    assert _answer(CLOSER_THAN_RAW, seen=seen) == "cannot tell"
    assert "may have been trained on them" in _answer(CLOSER_THAN_RAW, seen=seen, column="source")


def test_without_a_table_of_who_trained_nothing_good_can_be_told():
    assert _answer(TRAINED_APART, seen=None) == "cannot tell"
    assert _answer(CLOSER_THAN_RAW, seen=None) == "cannot tell"
    worse = _travelling({"identity": 0.0, "nyul": 3.0, "cyclegan": -5.0})
    assert _answer(CLOSER_THAN_RAW, seen=None, travelling=worse) == "no"


def test_trained_on_others_is_the_good_answer():
    assert _answer(TRAINED_APART) == "yes"


def test_the_probe_that_names_the_site_best_decides():
    fooled = _probes(made=(0.5, 0.4))
    assert _answer(SITE_UNREADABLE, probes=fooled) == "yes"
    forest = fooled[fooled["probe"] == "reseeded"].assign(probe="forest")
    found = pd.concat([fooled, forest.assign(balanced_accuracy=0.9, low=0.8)])
    assert _answer(SITE_UNREADABLE, probes=found) == "no"
    assert "forest" in _answer(SITE_UNREADABLE, probes=found, column="source")
    sources = forest.assign(balanced_accuracy=0.9, low=0.8, sites="sources")
    assert _answer(SITE_UNREADABLE, probes=pd.concat([fooled, sources])) == "yes"


def test_raw_images_that_short_trainings_name_need_no_long_one():
    """A kind that was not asked of raw images is held against what they gave to the others."""
    fooled = _probes(made=(0.5, 0.4))
    made = fooled[(fooled["probe"] == "reseeded") & (fooled["method"] == "cyclegan")]
    longer = made.assign(probe="converged", balanced_accuracy=0.55)
    found = pd.concat([fooled, longer])
    assert _answer(SITE_UNREADABLE, probes=found) == "yes"
    assert "converged" in _answer(SITE_UNREADABLE, probes=found, column="source")


def test_a_probe_below_chance_is_a_leak_and_no_success():
    found = _probes(made=(0.1, 0.02))
    found["leak_suspected"] = (found["method"] == "cyclegan") & (found["probe"] == "reseeded")
    assert _answer(SITE_UNREADABLE, probes=found) == "no"
    assert "a leak is suspected" in _answer(SITE_UNREADABLE, probes=found, column="source")


def test_nobody_who_travels_is_nobody_to_be_trained_without():
    assert _answer(TRAINED_APART, travelling=_travelling().iloc[:0]) == "cannot tell"


def test_being_recognised_counts_for_nothing_among_people_trained_on():
    found = _looked_up(6, 6)
    assert _answer(RECOGNISED, found=found, seen=frozenset({"sub-0"})) == "cannot tell"
    assert _answer(RECOGNISED, found=_looked_up(6, 0), seen=None) == "no"
