"""Models and images made by several processes are those that one makes."""

from dataclasses import replace

from bids_harmonize.config import ResourceSettings
from bids_harmonize.stages import run_stage
from bids_harmonize.stages.harmonization import image_jobs, shared_images
from bids_harmonize.training.crew_start import crew_in
from bids_harmonize.training.runtime import make_runtime
from tests.stages.small_study import write_small_study
from tests.stages.test_harmonize import make_context

ONE = ResourceSettings(device="cpu", nprocs=1)
TWO = replace(ONE, devices=2)


def harmonized(folder, crew=None):
    """The stage's result and files, in a study of two source sites."""
    study = write_small_study(folder / "out", sites=("A", "B", "C"), n_per_site=4, n_travelling=1)
    context = make_context(study, folder / "work")
    if crew is not None:
        context = replace(context, runtime=make_runtime(ONE, crew))
    result = run_stage("harmonize", context)
    root = study.output_dir
    return result, {path.relative_to(root): path.read_bytes() for path in result.files}


def test_two_processes_write_the_models_and_images_of_one(tmp_path, monkeypatch):
    alone, files = harmonized(tmp_path / "one")
    made_here = []
    original = image_jobs.make_image

    def noted(scan, harmonizer):
        made_here.append(scan.stem)
        return original(scan, harmonizer)

    monkeypatch.setattr(image_jobs, "make_image", noted)
    with crew_in(TWO, None) as crew:
        shared, others = harmonized(tmp_path / "two", crew)
    assert set(files) == set(others)
    compared = [path for path in files if path.suffix in {".gz", ".safetensors"}]
    assert len(compared) > 16
    for path in compared:
        assert files[path] == others[path], path
    n_images = sum(path.name.endswith("harmonizedA_T1w.nii.gz") for path in files)
    assert len(made_here) == n_images // 2
    assert (alone.failures, alone.warnings) == (shared.failures, shared.warnings)


def test_a_scan_that_fails_in_another_process_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    original = shared_images.share_images

    def broken(maker, scans, **others):
        scans[1].t1w.write_bytes(b"no image")  # the second process's first
        return original(maker, scans, **others)

    monkeypatch.setattr("bids_harmonize.stages.harmonize.share_images", broken)
    with crew_in(TWO, None) as crew:
        result, files = harmonized(tmp_path, crew)
    (failure,) = result.failures
    assert "not harmonized" in failure
    assert sum(path.name.endswith("harmonizedA_T1w.nii.gz") for path in files) == 18 - 1
