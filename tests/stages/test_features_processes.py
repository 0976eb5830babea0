"""Scans spread over processes: the same bytes, and a death that takes nobody along."""

import os
from dataclasses import replace
from multiprocessing import get_context

import pytest

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import ScanError
from bids_harmonize.stages import processes, run_stage
from bids_harmonize.stages.processes import KILLED, count_processes
from bids_harmonize.stages.tissue import processes as tissue_processes
from bids_harmonize.stages.tissue.plan import load_models, plan_harmonized, plan_raw
from bids_harmonize.stages.tissue.processes import work_through
from bids_harmonize.stages.tissue.transforms import read_template_points
from tests.stages.tissue_study import (
    found_tissue,
    make_tissue_context,
    phantom,
    shorten,
    write_tissue_study,
)

FORK = get_context("fork")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Raw jobs of a study with tissue maps."""
    folder = tmp_path_factory.mktemp("jobs")
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorten(monkeypatch)
        found_tissue.cache_clear()
        study = write_tissue_study(folder / "out", tissue=True)
        context = make_tissue_context(study, folder / "work")
        jobs = [plan_raw(context, scan) for scan in study.scans[:3]]
    yield jobs
    found_tissue.cache_clear()


def _into(jobs, folder):
    folder.mkdir()
    return [replace(job, row_file=folder / job.row_file.name) for job in jobs]


def _die_of_a1(job):
    if job.stem == "sub-A1_ses-A":
        os._exit(9)


def _bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(jobs, tmp_path):
    for n_procs in (1, 2):
        own = _into(jobs, tmp_path / str(n_procs))
        answers = list(work_through(own, n_procs=n_procs))
        assert sorted(job.stem for job, fault in answers if fault is None) == [
            job.stem for job in jobs
        ]
    assert len(_bytes_of(tmp_path / "1")) == 2 * 3  # numbers and density of every scan
    assert _bytes_of(tmp_path / "1") == _bytes_of(tmp_path / "2")


@pytest.mark.slow
def test_two_processes_segment_harmonized_images_to_the_bytes_of_one(tmp_path):
    """Without any shortcut: spawned workers know none."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorten(monkeypatch)
        study = write_tissue_study(tmp_path / "out", tissue=False)
        context = make_tissue_context(study, tmp_path / "work")
        run_stage("harmonize", context)
        models = load_models(context)
    scan = study.scan("sub-B0_ses-B")
    pair = [plan_raw(context, scan), plan_harmonized(context, scan, models)]
    for n_procs in (1, 2):
        answers = list(work_through(_into(pair, tmp_path / str(n_procs)), n_procs=n_procs))
        assert [fault for _, fault in answers] == [None, None]
    assert _bytes_of(tmp_path / "1") == _bytes_of(tmp_path / "2")


def test_a_worker_that_is_killed_takes_no_other_scan_along(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "get_context", lambda _: FORK)
    monkeypatch.setattr(tissue_processes, "do_job", _die_of_a1)
    answers = {job.stem: fault for job, fault in work_through(jobs, n_procs=2)}
    assert answers.pop("sub-A1_ses-A").message == KILLED
    assert answers == {"sub-A0_ses-A": None, "sub-B0_ses-B": None}


def test_processes_follow_the_options_the_memory_and_the_jobs():
    assert count_processes(ResourceSettings(nprocs=8, mem_gb=9.0), 100, gb_each=2.0) == 4
    assert count_processes(ResourceSettings(nprocs=8, mem_gb=64.0), 3, gb_each=2.0) == 3
    assert count_processes(ResourceSettings(nprocs=8, mem_gb=0.5), 100, gb_each=2.0) == 1
    assert count_processes(ResourceSettings(nprocs=2, mem_gb=64.0), 0, gb_each=2.0) == 1


def test_the_stored_way_to_the_template_is_the_one_that_was_found(jobs):
    """Kept at 3 mm in float32; the same grid and the same inversion give the same points."""
    found, (_, affine, _, brain) = found_tissue(), phantom()
    from bids_harmonize.imaging.tissue import mask_points

    points = read_template_points(jobs[0].maps.transform, mask_points(brain, affine))
    assert points.shape == found.template_points.shape
    assert abs(points - found.template_points).max() < 0.5
    assert abs(points - found.template_points).mean() < 0.02


def test_a_file_without_a_deformation_is_a_scan_error(jobs, tmp_path):
    path = tmp_path / "broken.h5"
    path.write_bytes(b"nothing")
    with pytest.raises(ScanError, match="no transform that ITK can read"):
        read_template_points(path, phantom()[1][:3, :1])
    affine_only = tmp_path / "affine.txt"
    affine_only.write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 1 0 0 0\nFixedParameters: 0 0 0\n"
    )
    with pytest.raises(ScanError, match="1 transforms, expected an affine and a displacement"):
        read_template_points(affine_only, phantom()[1][:3, :1])


def test_low_mem_measures_one_scan_at_a_time():
    resources = ResourceSettings(nprocs=4, mem_gb=64)
    assert count_processes(resources, 9, gb_each=2.0) == 4
    assert count_processes(replace(resources, low_mem=True), 9, gb_each=2.0) == 1
