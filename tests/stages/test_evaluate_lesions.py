"""Lesions in a study's scans: which scans, which methods, and what the table says."""

import numpy as np
import pytest

from bids_harmonize.errors import DirectionError, ScanError
from bids_harmonize.stages.evaluation.lesions import (
    LESION_COLUMNS,
    LESIONS,
    MOST_SCANS,
    lesions_table,
    plant_lesions,
)
from bids_harmonize.stages.evaluation.travelling import Method
from tests.stages.small_study import write_small_study

N_TRAVEL = 2
KEPT = Method("kept", lambda images, to_site: 2 * images.volume)
ERASED = Method("erased", lambda images, to_site: np.indices(images.volume.shape)[0] + 1.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_small_study(
        tmp_path_factory.mktemp("study"), sites=("A", "B", "C"), n_travelling=N_TRAVEL
    )


def plant(study, methods, effort="quick"):
    return plant_lesions(study, methods, effort=effort, seed=0)


def test_every_source_site_gets_both_kinds_and_travelling_subjects_come_first(study):
    found = plant(study, [KEPT])
    assert found.failures == found.notes == ()
    assert set(found.frame["source_site"]) == {"B", "C"}
    assert set(found.frame["lesion"]) == set(LESIONS)
    people = found.frame[found.frame["source_site"] == "B"]["participant_id"].unique()
    assert list(people) == ["sub-T0", "sub-T1", "sub-B0"]
    assert len(people) == MOST_SCANS["quick"]


def test_full_effort_takes_more_people(study):
    found = plant(study, [KEPT], effort="full").frame
    assert found[found["source_site"] == "B"]["participant_id"].nunique() == 5 + N_TRAVEL


def test_a_gain_keeps_lesions_and_one_image_for_all_erases_them(study):
    table = lesions_table(plant(study, [KEPT, ERASED]).frame, rng=np.random.default_rng(0))
    assert tuple(table.columns) == LESION_COLUMNS
    kept, erased = (table[table["method"] == name] for name in ("kept", "erased"))
    assert kept[["contrast", "volume"]].to_numpy() == pytest.approx(1.0, abs=1e-4)
    assert (kept["n"] == MOST_SCANS["quick"]).all()
    assert (erased["contrast"] == 0).all()
    assert erased["volume"].isna().all()


def test_a_method_that_cannot_go_there_has_no_row(study):
    def refuse(images, to_site):
        message = "no way"
        raise DirectionError(message)

    found = plant(study, [KEPT, Method("oneway", refuse)])
    assert set(found.frame["method"]) == {"kept"}


def test_a_scan_that_cannot_be_harmonized_fails_alone(study):
    def falter(images, to_site):
        if images.scan.participant_id == "sub-T0":
            message = "no intensities"
            raise ScanError(message)
        return images.volume

    found = plant(study, [Method("falter", falter)])
    assert [line.split(":")[0] for line in found.failures] == [
        "sub-T0_ses-B_run-1",
        "sub-T0_ses-C_run-1",
    ]
    assert "sub-T0" not in set(found.frame["participant_id"])


def test_without_trained_methods_nothing_is_planted(study):
    found = plant(study, [])
    assert found.frame.empty
    assert found.notes == ()
