import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import harmonizer_folder, scan_output
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.errors import LeakError, UsageError
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext, run_stage
from bids_harmonize.stages.harmonization.methods import names_to_fit
from bids_harmonize.stages.inputs import generator_resolution_mm, takes_sub_boxes
from bids_harmonize.training import pair_training
from bids_harmonize.training.runtime import make_runtime
from tests.stages.small_study import write_small_study

SHORT = {"n_iterations": 2, "check_every": 1}


def make_context(study, work_dir, *, name="localhistogram", run_id="first", **group):
    values = {
        "group": {"harmonizer": name, "stages": ("harmonize",), **group},
        "harmonizer": SHORT if name == "localhistogram" else {},
    }
    return StageContext(
        study=study,
        settings=make_settings(values, source="test"),
        work_dir=work_dir,
        run_id=run_id,
        runtime=make_runtime(ResourceSettings(device="cpu", nprocs=1)),
    )


def image_of(study, scan):
    return scan_output(study.output_dir, scan, "harmonized", reference=study.reference_site)


def sidecar_of(study, scan):
    image = image_of(study, scan)
    return json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study with one doubtful scan and a left-out site, harmonized once."""
    folder = tmp_path_factory.mktemp("done")
    study = write_small_study(
        folder / "out", sites=("A", "B", "C"), n_per_site=4, n_travelling=1,
        doubtful=("sub-B0_ses-B_run-1",),
    )  # fmt: skip
    study = replace(
        study,
        trained_sites=("A", "B"),
        left_out={"C": "4 participants, 5 are needed"},
        eligible=frozenset(p for p in study.eligible if "C" not in p),
    )
    context = make_context(study, folder / "work")
    return context, run_stage("harmonize", context)


def test_every_scan_of_a_trained_site_has_its_image(done):
    context, result = done
    study = context.study
    for scan in study.scans:
        assert image_of(study, scan).is_file() == (scan.site in ("A", "B"))
    images = [path for path in result.files if path.name.endswith("harmonizedA_T1w.nii.gz")]
    assert len(images) == 2 * 4 + 4
    assert all(path.is_file() for path in result.files)
    assert result.failures == ()


def test_left_out_sites_are_listed_with_reason_and_scans(done):
    context, result = done
    (note,) = [note for note in result.notes if "site C" in note]
    assert "5 are needed" in note
    assert all(scan.stem in note for scan in context.study.of_site("C"))


def test_an_image_is_what_the_saved_model_makes_of_the_scan(done):
    context, _ = done
    study = context.study
    model = load_harmonizer(
        harmonizer_folder(study.output_dir, "localhistogram", study.reference_site)
    )
    scan = study.scan("sub-B1_ses-B_run-1")
    volume, affine = read_image(scan.t1w)
    head, brain = read_mask(scan.head_mask)[0], read_mask(scan.brain_mask)[0]
    expected = harmonize_image(model, volume, site="B", head_mask=head, brain_mask=brain)
    found, found_affine = read_image(image_of(study, scan))
    assert np.array_equal(found, expected)
    assert np.array_equal(found_affine, affine)
    assert np.array_equal(found[~head], volume[~head])


def test_sidecars_tell_the_method_and_where_everything_came_from(done):
    context, _ = done
    study = context.study
    source, reference, doubtful = (
        sidecar_of(study, study.scan(stem))
        for stem in ("sub-B1_ses-B_run-1", "sub-A1_ses-A_run-1", "sub-B0_ses-B_run-1")
    )
    folder = harmonizer_folder(study.output_dir, "localhistogram", study.reference_site)
    model = json.loads((folder / "model.json").read_text())
    assert source["HarmonizationMethod"] == "localhistogram"
    assert reference["HarmonizationMethod"] == "scaling"
    assert source["HarmonizationReference"] == "A"
    assert source["HarmonizationModelSha256"] == model["sha256"]
    assert source["Sources"][0] == "bids::sub-B1/sub-B1_ses-B_run-1_t1w.nii.gz"
    assert source["SkullStripped"] is False
    assert source["RandomSeed"] == 0
    assert (source["MaskDoubtful"], doubtful["MaskDoubtful"]) == (False, True)


def test_the_model_folder_is_complete_and_names_nobody_travelling_or_doubtful(done):
    context, _ = done
    for name in names_to_fit(context.settings):
        folder = harmonizer_folder(context.study.output_dir, name, "A")
        names = {path.name for path in folder.iterdir()}
        assert names >= {"model.safetensors", "model.json", "training.tsv", "splits.tsv",
                         "README.md"}  # fmt: skip
        people = set(read_tsv(folder / "training.tsv")["participant_id"])
        assert people == {f"sub-{s}{n}" for s in "AB" for n in range(4)} - {"sub-B0"}
        splits = read_tsv(folder / "splits.tsv")
        assert (splits["split"] == "monitor").sum() == 2 + 1  # of four, and of three
    curve = read_tsv(harmonizer_folder(context.study.output_dir, "localhistogram", "A")
                     / "training_curve.tsv")  # fmt: skip
    assert curve["iteration"].tolist() == ["0", "1", "2"]
    assert not (context.study.output_dir / ".harmonize-new").exists()


def test_an_unchanged_study_is_reused_without_training(done, monkeypatch):
    context, first = done
    monkeypatch.setattr(pair_training.PairTraining, "step", None)
    before = {path: path.stat().st_mtime_ns for path in first.files}
    again = run_stage("harmonize", replace(context, run_id="second"))
    assert set(again.files) == set(first.files)
    assert {path: path.stat().st_mtime_ns for path in again.files} == before
    assert any(note.startswith("unchanged, so reused") for note in again.notes)


def test_a_travelling_subject_among_the_eligible_is_a_leak(tmp_path):
    study = write_small_study(tmp_path / "out", n_per_site=3, n_travelling=1)
    context = make_context(study, tmp_path / "work", name="nyul")
    leaky = replace(study, eligible=study.eligible | {"sub-T0"})
    with pytest.raises(LeakError, match="sub-T0"):
        run_stage("harmonize", replace(context, study=leaky))


@pytest.fixture
def simple(tmp_path, monkeypatch):
    """A small study harmonized by landmarks alone; nothing is trained."""
    monkeypatch.setattr(
        "bids_harmonize.stages.harmonize.names_to_fit",
        lambda settings: ("identity", settings.group.harmonizer),
    )
    study = write_small_study(tmp_path / "out", n_per_site=3, n_travelling=0)
    context = make_context(study, tmp_path / "work", name="nyul")
    run_stage("harmonize", context)
    return context


def test_another_harmonizer_is_refused_until_overwriting_is_asked_for(simple, tmp_path):
    other = make_context(simple.study, tmp_path / "work", name="histogram")
    with pytest.raises(UsageError, match=r"nyul to A.*--overwrite-harmonized"):
        run_stage("harmonize", other)
    forced = make_context(
        simple.study, tmp_path / "work", name="histogram", overwrite_harmonized=True
    )
    run_stage("harmonize", forced)
    methods = {sidecar_of(simple.study, s)["Harmonizer"] for s in simple.study.scans}
    assert methods == {"histogram"}


def test_another_reference_replaces_all_images_of_the_old_one(simple, tmp_path):
    turned = replace(simple.study, reference_site="B")
    with pytest.raises(UsageError, match="nyul to A"):
        run_stage("harmonize", make_context(turned, tmp_path / "work", name="nyul"))
    context = make_context(turned, tmp_path / "work", name="nyul", overwrite_harmonized=True)
    run_stage("harmonize", context)
    left = sorted(p.name for p in turned.output_dir.glob("sub-*/**/*_desc-harmonized*.nii.gz"))
    assert len(left) == 6
    assert all("harmonizedB" in name for name in left)


def test_a_changed_scan_refits_and_says_so(simple):
    scan = simple.study.scans[0]
    volume, affine = read_image(scan.t1w)
    write_image(scan.t1w, volume * np.float32(1.5), affine)
    before = image_of(simple.study, scan).read_bytes()
    result = run_stage("harmonize", replace(simple, run_id="second"))
    assert any(note == "fitted: identity, nyul" for note in result.notes)
    assert sidecar_of(simple.study, scan)["RunId"] == "second"
    assert image_of(simple.study, scan).read_bytes() != before


def test_one_broken_scan_leaves_a_crash_file_and_the_others_go_on(simple, tmp_path):
    scan = simple.study.scans[0]
    study = replace(simple.study, eligible=simple.study.eligible - {scan.participant_id})
    scan.t1w.write_bytes(scan.t1w.read_bytes()[:2000])
    result = run_stage("harmonize", replace(simple, study=study, run_id="third"))
    assert len(result.failures) == 1
    assert scan.stem in result.failures[0]
    crash = (
        study.output_dir / scan.participant_id / "log" / "third" / f"group-crash-{scan.stem}.txt"
    )
    assert "truncated" in crash.read_text()
    assert sum(image_of(study, s).is_file() for s in study.scans) == 5


def test_half_models_see_only_their_half(tmp_path, monkeypatch):
    monkeypatch.setattr("bids_harmonize.stages.harmonize.names_to_fit", lambda settings: ("nyul",))
    study = write_small_study(tmp_path / "out", n_per_site=10, n_travelling=1)
    context = make_context(study, tmp_path / "work", name="nyul", stages=("evaluate",))
    result = run_stage("harmonize", context)
    folder = harmonizer_folder(study.output_dir, "nyul", "A")
    halves = [
        set(read_tsv(folder / part / "training.tsv")["participant_id"])
        for part in ("half-1", "half-2")
    ]
    assert halves[0].isdisjoint(halves[1])
    assert halves[0] | halves[1] == set(study.eligible)
    assert [sum("A" in person for person in half) for half in halves] == [5, 5]
    half_of = read_tsv(folder / "splits.tsv").set_index("participant_id")["half"]
    assert {person for person in half_of.index if half_of[person] == "1"} == halves[0]
    assert result.warnings == ()


def test_small_halves_are_not_fitted_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("bids_harmonize.stages.harmonize.names_to_fit", lambda settings: ("nyul",))
    study = write_small_study(tmp_path / "out", n_per_site=4, n_travelling=0)
    context = make_context(study, tmp_path / "work", name="nyul", stages=None)
    result = run_stage("harmonize", context)
    assert "2 participants in a half" in result.warnings[0]
    folder = harmonizer_folder(study.output_dir, "nyul", "A")
    assert not list(folder.glob("half-*"))


def test_generators_train_at_3_mm_on_a_cpu_and_never_finer_than_the_study(done, tmp_path):
    context, _ = done
    fine, coarse = (replace(context.study, voxel_size_mm=size) for size in (1.0, 4.0))
    assert generator_resolution_mm(fine, context.settings, context.runtime) == 3
    assert generator_resolution_mm(coarse, context.settings, context.runtime) == 4
    asked = make_context(fine, tmp_path, network_resolution_mm=2.0)
    assert generator_resolution_mm(fine, asked.settings, asked.runtime) == 2


def test_sub_boxes_are_for_bilateral_generators_on_a_gpu_or_where_they_are_asked_for(
    done, tmp_path
):
    context, _ = done
    study = replace(context.study, voxel_size_mm=1.0)
    gpu = replace(context.runtime, device=torch.device("cuda"))
    asked, left = (make_context(study, tmp_path, sub_boxes=word) for word in ("on", "off"))
    residual = replace(context.settings, harmonizer={"generator": "residual"})
    assert not takes_sub_boxes(study, context.settings, context.runtime)
    assert takes_sub_boxes(study, asked.settings, context.runtime)
    assert takes_sub_boxes(study, context.settings, gpu)
    assert not takes_sub_boxes(study, left.settings, gpu)
    assert not takes_sub_boxes(study, residual, gpu)
    without_images = replace(study, outside_reference=True)
    assert not takes_sub_boxes(without_images, context.settings, gpu)
    sizes = [
        generator_resolution_mm(study, settings, gpu)
        for settings in (context.settings, left.settings, residual)
    ]
    assert sizes == [3, 1, 1]


def test_a_study_trained_on_sub_boxes_learns_sharpening_and_is_fitted_anew(tmp_path):
    study = write_small_study(tmp_path / "out", sites=("A", "B"), n_per_site=4, n_travelling=1)
    assert study.voxel_size_mm == 6
    folder = harmonizer_folder(study.output_dir, "localhistogram", "A")
    for run_id, word, loss_mm in (("first", "off", 8), ("second", "on", 6)):
        context = make_context(
            study, tmp_path / "work", run_id=run_id, sub_boxes=word, network_resolution_mm=8.0,
            overwrite_harmonized=True,
        )  # fmt: skip
        result = run_stage("harmonize", context)
        assert result.failures == ()
        model = json.loads((folder / "model.json").read_text())
        assert model["learnt"]["network_voxel_size_mm"] == 8
        assert model["learnt"]["loss_voxel_size_mm"] == loss_mm
        card = (folder / "README.md").read_text()
        assert ("how sharp the whole image is" in card) is (word == "on")
        assert (folder / "training.tsv").is_file()
