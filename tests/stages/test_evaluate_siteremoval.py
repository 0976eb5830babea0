from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.tables import read_tsv, write_table
from bids_harmonize.config import make_settings
from bids_harmonize.errors import LeakError, UnusableDataError
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluation.harmonized_accuracy import (
    harmonized_row,
    replace_harmonized_rows,
)
from bids_harmonize.stages.evaluation.probe_images import ProbeImages
from bids_harmonize.stages.evaluation.siteremoval import probe_sites
from bids_harmonize.stages.harmonization.crossfit import (
    HalfModels,
    cross_fitted_images,
    fit_baseline_halves,
)
from bids_harmonize.stages.trainings import Trainers
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.splits import make_halves
from bids_harmonize.training.volumes import DiskVolumes, ScanFiles, map_volumes
from tests.stages.small_study import VOXEL_MM, train_briefly, write_small_study

RESOLUTION_MM = 8.0


@pytest.fixture(scope="module", autouse=True)
def _brief_training():
    with pytest.MonkeyPatch.context() as monkeypatch:
        train_briefly(monkeypatch)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_small_study(tmp_path_factory.mktemp("study"), n_per_site=10, n_travelling=1)


@pytest.fixture
def context(study, tmp_path):
    settings = make_settings(
        {
            "group": {"effort": "quick", "harmonizer": "histogram"},
            "classifier": {"n_epochs": 1},
            "resources": {"device": "cpu", "nprocs": 1},
        },
        source="test",
    )
    return StageContext(study, settings, tmp_path, "run", make_runtime(settings.resources))


def _sources(study, work_dir):
    files = [
        ScanFiles(s.stem, s.participant_id, s.site, s.t1w, s.head_mask, s.brain_mask)
        for s in study.training_scans
    ]
    native = DiskVolumes(files, "brain")
    return native, map_volumes(native, resolution_mm=RESOLUTION_MM, folder=work_dir)


def _half_models(context):
    return fit_baseline_halves(
        "histogram",
        _sources(context.study, context.work_dir),
        make_halves(context.study.site_of_participant(), seed=0),
        reference_site="A",
        runtime=context.runtime,
        work_dir=context.work_dir,
    )


def _probe(context, half_models):
    images = ProbeImages(context, half_models, (), resolution_mm=RESOLUTION_MM)
    with Trainers(context.runtime, context.settings.resources, images.network.shape) as trainers:
        return probe_sites(context, images, baseline="nyul", folds=(), trainers=trainers)


def test_each_scan_is_harmonized_by_the_model_that_has_not_seen_its_person(context):
    native, network = _sources(context.study, context.work_dir)
    seen = []

    def model(number):
        def transform(volume, **_):
            seen.append(number)
            return volume

        frame = SimpleNamespace(reference_site="A", unit_mask=lambda head, brain: brain)
        return SimpleNamespace(frame=frame, high={"A": 1.0}, transform=transform)

    halves = make_halves(context.study.site_of_participant(), seed=0)
    fitted = HalfModels(halves, (model(0), model(1)))
    images = cross_fitted_images(fitted, (native, network), path=context.work_dir / "made.npy")
    expected = [int(scan.participant_id in halves[0]) for scan in native.scans]
    assert seen == expected
    np.testing.assert_allclose(images.volume(3), network.volume(3), atol=1e-5)


def test_a_person_in_both_halves_is_a_leak_and_one_in_none_is_refused(context):
    sources = _sources(context.study, context.work_dir)
    first, second = make_halves(context.study.site_of_participant(), seed=0)
    both = HalfModels((first, second | {min(first)}), (None, None))
    with pytest.raises(LeakError, match=min(first)):
        cross_fitted_images(both, sources, path=context.work_dir / "made.npy")
    none = HalfModels((frozenset(), frozenset()), (None, None))
    with pytest.raises(UnusableDataError, match="stands in neither half"):
        cross_fitted_images(none, sources, path=context.work_dir / "made.npy")


def test_a_baseline_fitted_on_halves_brings_the_histograms_nearer(context):
    result = _probe(context, _half_models(context))
    mmd = result.probes.drop_duplicates("method").set_index("method")["mmd"]
    assert list(mmd.index) == ["identity", "nyul", "histogram"]
    assert mmd["histogram"] < 0.5 * mmd["identity"]


def test_a_quick_table_says_so_and_trains_no_probe_for_the_baseline(context):
    result = _probe(context, _half_models(context))
    table = read_tsv(context.study.output_dir / "group_siteprobe.tsv")
    expected = [
        ("identity", "frozen", "n/a", "n/a"),
        ("identity", "reseeded", "0", "20"),
        ("identity", "forest", "0", "20"),
        ("nyul", "frozen", "n/a", "n/a"),
        ("histogram", "frozen", "n/a", "n/a"),
        ("histogram", "reseeded", "0", "20"),
        ("histogram", "forest", "0", "20"),
    ]
    columns = ["method", "probe", "seed", "n"]
    assert [tuple(row) for row in table[columns].fillna("n/a").to_numpy()] == expected
    text = (context.study.output_dir / "group_siteprobe.json").read_text()
    assert "Effort: quick" in text
    assert sorted(result.fresh["key"]) == [scan.stem for scan in context.study.training_scans]
    assert any("no frozen probe" in warning for warning in result.warnings)


@pytest.fixture
def full_context(tmp_path, monkeypatch):
    monkeypatch.setattr("bids_harmonize.stages.evaluation.siteremoval.FULL_SEEDS", 2)
    study = write_small_study(tmp_path, sites=("A", "B", "C"), n_per_site=10, n_travelling=0)
    settings = make_settings(
        {
            "group": {"harmonizer": "histogram", "folds": 2},
            "classifier": {"n_epochs": 1},
            "resources": {"device": "cpu", "nprocs": 1},
        },
        source="test",
    )
    return StageContext(study, settings, tmp_path, "run", make_runtime(settings.resources))


def test_no_long_training_where_the_short_ones_name_everybody(full_context, monkeypatch):
    """It would find what is known."""
    monkeypatch.setattr("bids_harmonize.stages.evaluation.siteremoval.ALL_NAMED", 0.0)
    probes = _probe(full_context, _half_models(full_context)).probes
    assert "converged" not in set(probes["probe"])
    assert (probes["probe"] == "reseeded").sum() == 3 * 2


@pytest.mark.slow
def test_full_effort_trains_probes_to_convergence_on_all_sites_and_on_the_sources(full_context):
    probes = _probe(full_context, _half_models(full_context)).probes
    fresh = probes[(probes["method"] == "histogram") & (probes["probe"] != "frozen")]
    found = [tuple(row) for row in fresh[["probe", "sites", "seed", "n"]].to_numpy()]
    assert found == [
        ("reseeded", "all", 0, 30),
        ("reseeded", "all", 1, 30),
        ("converged", "all", 0, 30),
        ("converged", "sources", 0, 20),
        ("forest", "all", 0, 30),
        ("forest", "sources", 0, 20),
    ]
    assert list(fresh["chance"]) == [1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 3, 1 / 2]
    networks = fresh[fresh["probe"] != "forest"]
    assert networks["train_accuracy"].between(0.3, 1).all()
    short, long = (
        networks[(networks["probe"] == name) & (networks["sites"] == "all")].iloc[0]
        for name in ("reseeded", "converged")
    )
    assert long["train_accuracy"] > short["train_accuracy"]


def test_without_half_models_no_number_is_given(context):
    result = _probe(context, None)
    assert result.probes["balanced_accuracy"].isna().all()
    assert result.fresh is None
    assert any("cannot tell" in warning for warning in result.warnings)


def test_the_evaluation_replaces_only_its_own_rows(tmp_path):
    columns = "model images split n accuracy accuracy_low accuracy_high balanced_accuracy chance"
    names = columns.split()
    old = pd.DataFrame(
        [
            ["network", "preproc", "validation", "20", "1.0", "0.8", "1.0", "1.0", "0.5"],
            ["network", "harmonizedA", "validation", "20", "0.7", "0.5", "0.9", "0.7", "0.5"],
        ],
        columns=names,
    )
    path = tmp_path / "group_siteclassification.tsv"
    write_table(path, old, {name: {"Description": name} for name in names})
    predictions = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-2", "sub-3", "sub-4"],
            "site": ["A", "A", "B", "B"],
            "fold": "1-0",
            "p_A": [0.9, 0.8, 0.7, 0.1],
            "p_B": [0.1, 0.2, 0.3, 0.9],
        }
    )
    row = harmonized_row(predictions, reference_site="A", effort="quick")
    replace_harmonized_rows(tmp_path, row)
    table = read_tsv(path)
    assert list(table["images"]) == ["preproc", "harmonizedA"]
    assert list(table["accuracy"]) == ["1.0", "0.75"]
    replace_harmonized_rows(tmp_path, None)
    assert list(read_tsv(path)["images"]) == ["preproc"]


def test_the_evaluation_leaves_rows_of_feature_tables(tmp_path):
    names = ["model", "images", "split", "accuracy"]
    old = pd.DataFrame(
        [
            ["logistic", "raw", "validation", "0.8"],
            ["logistic", "harmonized", "validation", "0.4"],
            ["network", "harmonizedB", "validation", "0.6"],
            ["network", "preproc", "validation", "1.0"],
        ],
        columns=names,
    )
    path = tmp_path / "group_siteclassification.tsv"
    write_table(path, old, {name: {"Description": name} for name in names})
    replace_harmonized_rows(tmp_path, {"model": "network", "images": "harmonizedA"})
    found = read_tsv(path)
    assert list(found["images"]) == ["preproc", "harmonizedA", "raw", "harmonized"]
    assert list(found["accuracy"].fillna("")) == ["1.0", "", "0.8", "0.4"]


def test_a_study_that_was_not_classified_keeps_no_accuracy_table(tmp_path):
    assert replace_harmonized_rows(tmp_path, None) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_small_study_is_coarser_for_probes_than_on_disk(context):
    native, network = _sources(context.study, context.work_dir)
    assert native.voxel_size_mm == VOXEL_MM
    assert network.voxel_size_mm == RESOLUTION_MM
