"""Age and sex read from images by networks, on volumes that show them or do not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.config import make_settings
from bids_harmonize.imaging.intensity import Scaling
from bids_harmonize.stages.evaluation.biology import ACROSS, LEAVE_OUT, NETWORK
from bids_harmonize.stages.evaluation.biology_table import BIOLOGY_COLUMNS, biology_table
from bids_harmonize.stages.evaluation.network_biology import _bands, network_readings
from bids_harmonize.stages.trainings import Trainers
from bids_harmonize.training.classifier import train_classifier
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.volumes import ScanFiles

pytestmark = pytest.mark.slow  # trains a dozen networks: 35 s

SHAPE = (16, 16, 16)
N_PER_SITE = 15


class People:
    """Two sites; everybody of site A was scanned twice."""

    def __init__(self):
        rng = np.random.default_rng(0)
        names = [f"sub-{site}{n:02d}" for site in "AB" for n in range(N_PER_SITE)]
        table = {"age": rng.uniform(20, 70, len(names)).round(1), "sex": list("fm") * N_PER_SITE}
        self.participants = pd.DataFrame(table, index=pd.Index(names, name="participant_id"))

    def site_of_participant(self):
        return {name: name[4] for name in self.participants.index}


class Volumes:
    """Noise; the left half is brighter in the old, the lower half in women, site B everywhere."""

    def __init__(self, people, *, kept):
        self.people, self.kept = people.participants, kept
        self.scans = tuple(
            ScanFiles(f"{name}_run-{run}", name, name[4], None, None, None)
            for name in people.participants.index
            for run in ((1, 2) if name[4] == "A" else (1,))
        )
        self.shape = SHAPE
        self.voxel_size_mm = 4.0

    def __len__(self):
        return len(self.scans)

    def volume(self, index):
        scan = self.scans[index]
        person = self.people.loc[scan.participant_id]
        volume = 0.5 + 0.05 * np.random.default_rng(index).normal(size=SHAPE)
        volume[:8] += self.kept * 0.2 * (person["age"] - 45) / 25
        volume[:, :, :8] += self.kept * 0.1 * (person["sex"] == "f")
        volume += 0.1 * (scan.site == "B")
        return np.where(self.head_mask(index), volume, 0).astype(np.float32)

    def head_mask(self, index):
        return np.pad(np.ones((12, 12, 12), dtype=bool), 2)

    brain_mask = head_mask

    def scaling(self, index):
        return Scaling(0.0, 1.0)


def read(work_dir, *, effort="full", kept=0.0):
    people = People()
    shown = {"identity": Volumes(people, kept=1.0), "cyclegan": Volumes(people, kept=kept)}
    images = SimpleNamespace(of=shown.get, foreign={})
    classifier = {"n_epochs": 15, "mask_block_probability": 0.0, "keep_block_probability": 0.0}
    settings = make_settings(
        {
            "group": {"effort": effort, "harmonizer": "cyclegan"},
            "classifier": {**classifier, "flip_probability": 0.0, "dropout": 0.0},
            "resources": {"device": "cpu", "nprocs": 1},
        },
        source="test",
    )
    runtime = make_runtime(settings.resources)
    context = SimpleNamespace(study=people, settings=settings, runtime=runtime, work_dir=work_dir)
    with Trainers(runtime, settings.resources, SHAPE) as trainers:
        found = network_readings(context, images, trainers=trainers)
    return {(r.method, r.target.name, r.scheme): r for r in found}


@pytest.fixture(scope="module", autouse=True)
def _short_training():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("bids_harmonize.training.classifier_fit._LEAST_ITERATIONS", 24)
        monkeypatch.setattr("bids_harmonize.stages.evaluation.biology.N_FOLDS", 2)
        yield


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def readings(work_dir):
    return read(work_dir)


def test_networks_read_age_and_sex_where_images_show_them(readings):
    assert readings["identity", "age", ACROSS].score("r2") > 0.6
    assert readings["identity", "age", LEAVE_OUT].score("r2") > 0.3
    assert readings["identity", "sex", ACROSS].score("auc") > 0.9
    assert readings["identity", "sex", LEAVE_OUT].score("auc") > 0.8


def test_images_from_which_age_and_sex_were_taken_do_not_show_them(readings):
    assert readings["cyclegan", "age", ACROSS].score("r2") < 0.2
    assert readings["cyclegan", "sex", ACROSS].score("auc") < 0.8


def test_everybody_is_read_once_however_many_scans(readings):
    for reading in readings.values():
        assert reading.model == NETWORK
        assert list(reading.people.index) == list(People().participants.index)
        assert reading.people["predicted"].notna().all()
    years = readings["identity", "age", ACROSS].people["predicted"]
    assert years.between(20, 70).all()


def test_readings_by_networks_stand_in_the_same_table(readings):
    table = biology_table(tuple(readings.values()), rng=np.random.default_rng(0))
    assert tuple(table.columns) == BIOLOGY_COLUMNS
    assert set(table["model"]) == {NETWORK}
    assert len(table) == 2 * 2 * 3  # methods, schemes, and mae, r2, auc


def test_a_killed_run_trains_only_what_is_missing(readings, work_dir, monkeypatch):
    trained = []

    def train(*args, plan, **settings):
        trained.append(plan.name)
        return train_classifier(*args, plan=plan, **settings)

    module = "bids_harmonize.stages.evaluation.network_biology"
    monkeypatch.setattr(f"{module}.train_classifier", train)
    (work_dir / "evaluate" / "biology" / "cyclegan_sex-leave_site_out-2.json").unlink()
    again = read(work_dir)
    assert trained == ["sex-leave_site_out-2"]
    for key, reading in readings.items():
        pd.testing.assert_frame_equal(again[key].people, reading.people, check_exact=True)


def test_quick_trains_no_network(tmp_path):
    assert read(tmp_path, effort="quick") == {}


def test_bands_of_age_are_of_equal_size_and_in_order():
    age = pd.Series([70, 21, 33, 33, 45, 58, 62, 29, 40, 51.0], index=list("abcdefghij"))
    bands = _bands(age)
    assert dict(bands.value_counts()) == dict.fromkeys("01234", 2)
    assert list(bands[age.sort_values(kind="stable").index]) == sorted("0123401234")
    assert set(_bands(pd.Series([40.0, 50.0, 60.0]))) == {"0", "1", "2"}
