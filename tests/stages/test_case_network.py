"""The network that tells cases from controls at sites left out, on tiny volumes."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.config import make_settings
from bids_harmonize.imaging.intensity import Scaling
from bids_harmonize.stages.case_control import network
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.prediction import classification_rows
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.volumes import ScanFiles

pytestmark = pytest.mark.slow  # three trainings of seconds each

SHAPE = (16, 16, 16)
SITES = ("A", "B")
N_CASES, N_CONTROLS = 4, 6


def make_cohort():
    n = N_CASES + N_CONTROLS
    names = [f"sub-{site}{i:02d}" for site in SITES for i in range(n)]
    index = pd.Index(names, name="participant_id")
    is_case = [i < N_CASES for _ in SITES for i in range(n)]
    people = pd.DataFrame(
        {"site": [name[4] for name in names], "group": "x", "is_case": is_case}, index=index
    )
    empty = pd.DataFrame(index=index)
    return Cohort("raw", people, empty, empty.assign(one=1.0), empty, ())


class Volumes:
    """Noise; cases are darker on the left; site B is brighter; two scans at A."""

    shape, voxel_size_mm = SHAPE, 4.0

    def __init__(self, people):
        self.people, self.read = people, set()
        self.scans = tuple(
            ScanFiles(f"{name}_run-{run}", name, name[4], None, None, None)
            for name in people.index
            for run in ((1, 2) if name[4] == "A" else (1,))
        )

    def __len__(self):
        return len(self.scans)

    def volume(self, index):
        scan = self.scans[index]
        volume = 0.5 + 0.05 * np.random.default_rng(index).normal(size=SHAPE)
        volume += 0.1 * SITES.index(scan.site)
        volume[:8] -= 0.25 * self.people.loc[scan.participant_id, "is_case"]
        return np.where(self.head_mask(index), volume, 0).astype(np.float32)

    def head_mask(self, index):
        return np.pad(np.ones((12, 12, 12), dtype=bool), 2)

    brain_mask = head_mask

    def scaling(self, index):
        return Scaling(0.0, 1.0)


def make_context(folder, *, resume=True):
    classifier = {"n_epochs": 10, "mask_block_probability": 0.0, "keep_block_probability": 0.0}
    values = {
        "classifier": {**classifier, "flip_probability": 0.0, "dropout": 0.0},
        "resources": {"device": "cpu"},
        "run": {"resume": resume},
    }
    settings = make_settings(values, source="test")
    runtime = make_runtime(settings.resources)
    return SimpleNamespace(settings=settings, work_dir=folder, runtime=runtime)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Folder, scores, folds, and the sites of the people whom each training saw."""
    folder = tmp_path_factory.mktemp("network")
    seen = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        show(monkeypatch, seen)
        scores, folds = network.network_scores(make_context(folder), make_cohort())
    return folder, scores, folds, seen


def show(monkeypatch, seen):
    """Toy volumes in place of files; notes whom trainings see."""
    train = network.train_classifier

    def watched(source, *args, **kwargs):
        seen.append({scan.site for scan in source.scans})
        return train(source, *args, **kwargs)

    def shown(_, cohort):
        made = Volumes(cohort.people)
        return SimpleNamespace(images=lambda: made, made_of=["toy"], resolution_mm=4.0)

    monkeypatch.setattr(network, "_Shown", shown)
    monkeypatch.setattr(network, "train_classifier", watched)


def test_cases_of_a_site_left_out_are_told(asked):
    _, scores, folds, _ = asked
    rows = classification_rows(scores, folds, rng=np.random.default_rng(0))
    (pooled,) = (row for row in rows if row["held_out_site"] == "all")
    assert pooled["model"] == "network"
    assert pooled["auc"] > 0.95
    assert pooled["n_cases"] == len(SITES) * N_CASES
    assert pooled["n_controls"] == len(SITES) * N_CONTROLS / 2  # the other half calibrates


def test_nobody_of_the_site_left_out_is_learnt_from(asked):
    _, _, folds, seen = asked
    assert seen == [set(SITES) - {fold.site} for fold in folds]


def test_sites_of_an_earlier_run_are_not_trained_again(asked, monkeypatch):
    folder, scores, _, _ = asked
    again = []
    show(monkeypatch, again)
    (folder / "disorder" / "network-raw-B.json").unlink()
    found, _ = network.network_scores(make_context(folder), make_cohort())
    assert again == [{"A"}]
    pd.testing.assert_frame_equal(found, scores)  # the seed fixes it


def test_other_people_are_trained_anew(asked, monkeypatch):
    folder, _, _, _ = asked
    again = []
    show(monkeypatch, again)
    monkeypatch.setattr(network, "fold_scores", lambda *_, **__: pytest.fail("trained"))
    network.network_scores(make_context(folder), make_cohort())
    cohort = make_cohort()
    cohort.people.loc["sub-A00", "is_case"] = False
    with pytest.raises(pytest.fail.Exception, match="trained"):
        network.network_scores(make_context(folder), cohort)
