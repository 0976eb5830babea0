import json

import pytest

from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import make_settings
from bids_harmonize.errors import MissingInputError
from bids_harmonize.harmonizers import baselines, make_harmonizer
from bids_harmonize.harmonizers.base import TrainingData
from bids_harmonize.stages import StageContext, run_stage
from bids_harmonize.stages.evaluate import Fitted, evaluate
from bids_harmonize.stages.harmonization.crossfit import fit_baseline_halves
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.splits import make_halves
from bids_harmonize.training.volumes import DiskVolumes, ScanFiles, map_volumes
from tests.stages.small_study import train_briefly, write_small_study

FAST = ("identity", "nyul", "histogram")


def _context(study, work_dir, **group):
    settings = make_settings(
        {
            "group": {"effort": "quick", "harmonizer": "histogram", **group},
            "classifier": {"n_epochs": 1},
            "resources": {"device": "cpu", "nprocs": 1},
        },
        source="test",
    )
    return StageContext(study, settings, work_dir, "run", make_runtime(settings.resources))


def _fitted(context):
    """The quick baselines; ``histogram`` stands in for the chosen harmonizer."""
    study = context.study
    native = DiskVolumes(
        [
            ScanFiles(s.stem, s.participant_id, s.site, s.t1w, s.head_mask, s.brain_mask)
            for s in study.training_scans
        ],
        "brain",
    )
    network = map_volumes(native, resolution_mm=6.0, folder=context.work_dir)
    data = TrainingData(native, network, study.reference_site, frozenset())
    shared = {"runtime": context.runtime, "work_dir": context.work_dir}
    delivered = {}
    for name in FAST:
        delivered[name] = make_harmonizer(
            name, reference_site="A", source_sites=study.trained_sites, voxel_size_mm=6.0
        )
        delivered[name].fit(data, **shared, seed=0, resume=False)
    halves = fit_baseline_halves(
        "histogram",
        (native, network),
        make_halves(study.site_of_participant(), seed=0),
        reference_site="A",
        **shared,
    )
    return Fitted(delivered=delivered, halves=halves, folds=())


@pytest.fixture(scope="module", autouse=True)
def _brief_training():
    with pytest.MonkeyPatch.context() as monkeypatch:
        train_briefly(monkeypatch)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    study = write_small_study(tmp_path_factory.mktemp("study"), n_per_site=10, n_travelling=3)
    context = _context(study, tmp_path_factory.mktemp("work"))
    return evaluate(context, _fitted(context)), study.output_dir


def test_every_method_the_blur_and_the_ceiling_stand_in_both_tables(run):
    _, folder = run
    for name in ("group_travelling.tsv", "group_methods.tsv"):
        assert set(read_tsv(folder / name)["method"]) == {*FAST, "blur", "ceiling"}


def test_matching_histograms_undoes_a_tone_curve(run):
    table = read_tsv(run[1] / "group_methods.tsv")
    rows = table[(table["source_site"] == "all") & (table["metric"] == "psnr")]
    mean = rows[rows["mask"] == "brain"].set_index("method")["mean"].astype(float)
    assert mean["histogram"] > mean["identity"] + 2
    assert mean["ceiling"] > mean["identity"]


def test_every_column_is_described_and_the_voxel_size_is_stated(run):
    for name, column in (("travelling", "value"), ("methods", "mean"), ("siteprobe", "probe")):
        path = run[1] / f"group_{name}.tsv"
        described = json.loads(path.with_suffix(".json").read_text())
        assert list(described) == list(read_tsv(path).columns)
        assert described[column]["VoxelSize"] == 6.0


def test_the_result_lists_files_that_exist_and_names_the_best_baseline(run):
    result, _ = run
    assert all(path.is_file() for path in result.files)
    assert result.failures == ()
    assert any("best method without training is" in note for note in result.notes)


def test_training_free_methods_get_no_p_value_and_no_verdict(run):
    assert read_tsv(run[1] / "group_methods.tsv")["p_vs_best_baseline"].isna().all()
    assert len(read_tsv(run[1] / "group_verdict.tsv")) == 0


def test_the_same_run_writes_the_same_bytes(run, tmp_path):
    study = write_small_study(tmp_path / "study", n_per_site=10, n_travelling=3)
    context = _context(study, tmp_path / "work")
    result = evaluate(context, _fitted(context))
    assert {path.name for path in result.files} == {path.name for path in run[0].files}
    for name in ("travelling", "methods", "siteprobe", "verdict"):
        path = study.output_dir / f"group_{name}.tsv"
        assert path.read_bytes() == (run[1] / path.name).read_bytes(), name


def test_without_travelling_subjects_probes_run_and_old_tables_go(tmp_path):
    study = write_small_study(tmp_path / "study", n_per_site=3, n_travelling=0)
    (study.output_dir / "group_methods.tsv").write_text("left over\n")
    context = _context(study, tmp_path / "work")
    result = evaluate(context, _fitted(context))
    assert not (study.output_dir / "group_methods.tsv").exists()
    assert any("nobody was scanned at two trained sites" in note for note in result.notes)
    probes = read_tsv(study.output_dir / "group_siteprobe.tsv")
    assert list(dict.fromkeys(probes["method"])) == ["identity", "n4_histogram", "histogram"]


def test_doubtful_scans_are_listed_and_not_scored(tmp_path):
    doubtful = ("sub-T0_ses-A_run-1", "sub-T0_ses-A_run-2")
    study = write_small_study(tmp_path / "study", n_per_site=2, doubtful=doubtful)
    context = _context(study, tmp_path / "work")
    fitted = _fitted(context)
    result = evaluate(context, Fitted(fitted.delivered, None, ()))
    table = read_tsv(study.output_dir / "group_travelling.tsv")
    assert set(table["participant_id"]) == {"sub-T1"}
    assert any("sub-T0_ses-A_run-1, sub-T0_ses-A_run-2" in note for note in result.notes)
    assert any("cannot tell" in warning for warning in result.warnings)


def test_nothing_fitted_is_a_missing_input_that_says_what_to_run(tmp_path):
    study = write_small_study(tmp_path / "study", n_per_site=2)
    with pytest.raises(MissingInputError, match="run the stage harmonize"):
        run_stage("evaluate", _context(study, tmp_path / "work"))


def test_the_baselines_are_those_of_the_table():
    assert baselines() == ("identity", "nyul", "histogram", "n4", "n4_histogram")
