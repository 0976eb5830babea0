"""Harmonized images made by workers are those that one process makes."""

import os
from dataclasses import replace
from multiprocessing import get_context

import pytest

from bids_harmonize.config import ResourceSettings
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import processes, run_stage
from bids_harmonize.stages.harmonization import image_jobs
from bids_harmonize.stages.harmonization.image_jobs import Stored
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker
from bids_harmonize.stages.harmonization.images import write_images
from bids_harmonize.stages.processes import KILLED
from bids_harmonize.training.checkpoint import load_weights
from tests.stages.small_study import write_small_study
from tests.stages.test_harmonize import make_context

TWO = ResourceSettings(device="cpu", nprocs=2, mem_gb=64.0)


@pytest.fixture(scope="module")
def harmonized(tmp_path_factory):
    """A study, and what makes its images."""
    folder = tmp_path_factory.mktemp("images")
    study = write_small_study(folder / "out", sites=("A", "B"), n_per_site=4, n_travelling=1)
    run_stage("harmonize", make_context(study, folder / "work"))
    (model,) = (study.output_dir / "models").glob("localhistogram_to-*")
    harmonizer = load_harmonizer(model)
    maker = ImageMaker(study.output_dir, harmonizer, model.name, load_weights(model)[1], "run")
    return maker, study.harmonized_scans(joint=False), model


def bytes_of(folder, paths):
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def test_two_workers_write_the_bytes_of_one_process(harmonized, tmp_path, monkeypatch):
    maker, scans, model = harmonized
    one = write_images(maker, scans, new=tmp_path / "one", resume=False)
    made_here = []
    monkeypatch.setattr(image_jobs, "make_image", lambda *words: made_here.append(words))
    monkeypatch.setattr(image_jobs, "WORTH_PROCESSES_S", 0.0)
    two = write_images(maker, scans, new=tmp_path / "two", resume=False, stored=Stored(model, TWO))
    assert not made_here
    assert len(one.waiting) == 2 * len(scans)
    assert bytes_of(tmp_path / "one", one.waiting) == bytes_of(tmp_path / "two", two.waiting)
    assert (one.failures, one.distances) == (two.failures, two.distances)


def test_few_small_images_start_no_process(harmonized, tmp_path, monkeypatch):
    maker, scans, model = harmonized
    monkeypatch.setattr(processes, "get_context", pytest.fail)
    write_images(maker, scans, new=tmp_path, resume=False, stored=Stored(model, TWO))


def die_of_b1(maker, new, job):
    if job.scan.stem == "sub-B1_ses-B_run-1":
        os._exit(9)
    return image_jobs.ImageAnswer({"HarmonizationUnseenSite": False})


def test_a_worker_that_is_killed_costs_its_scan_alone(harmonized, tmp_path, monkeypatch):
    maker, scans, model = harmonized
    monkeypatch.setattr(image_jobs, "WORTH_PROCESSES_S", 0.0)
    monkeypatch.setattr(image_jobs, "_make", die_of_b1)
    monkeypatch.setattr(processes, "get_context", lambda _: get_context("fork"))
    written = write_images(maker, scans, new=tmp_path, resume=False, stored=Stored(model, TWO))
    assert written.failures == (f"sub-B1_ses-B_run-1: not harmonized: {KILLED}",)
    assert len(written.waiting) == 2 * (len(scans) - 1)
    (crash,) = maker.output_dir.rglob("*sub-B1_ses-B*.txt")
    assert crash.read_text() == KILLED
    crash.unlink()


def test_workers_are_as_many_as_time_and_memory_want(harmonized):
    maker, _, _ = harmonized
    fine = replace(maker.harmonizer.frame, voxel_size_mm=1.0)
    harmonizer = type("Fitted", (), {"frame": fine, "settings": {}})()
    many = replace(TWO, nprocs=16, mem_gb=8.0)
    assert image_jobs._count(harmonizer, 10, many) == 1
    assert image_jobs._count(harmonizer, 20, many) == 5
    harmonizer.settings = {"generator": "residual"}
    assert image_jobs._count(harmonizer, 20, many) == 1
