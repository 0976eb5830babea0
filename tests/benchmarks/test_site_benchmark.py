"""The site benchmark itself: what it reads, and that its derivatives are as the app's own."""

import json
from math import isnan
from pathlib import Path

import nibabel as nb
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import scan_output, site_output
from bids_harmonize.bids.study import load_study
from bids_harmonize.config import make_settings
from bids_harmonize.imaging._itk import from_itk_transform
from bids_harmonize.imaging.grid import Grid, resample, resample_mask
from bids_harmonize.phantom import StudyTruth, write_study
from bids_harmonize.preprocessing.steps import Conformed, conform, load_brain, mask_brain
from tests.benchmarks.mask_cases import dice
from tests.benchmarks.site_runs import (
    cue_distances,
    describe_row,
    fold_seconds,
    permutation_p,
    read_table,
    run_app,
)
from tests.benchmarks.site_speed import measure, random_volumes
from tests.benchmarks.true_derivative import read_truth, write_derivative

STEM = "sub-B001"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyTruth:
    """Preset cue at 6 mm: two people at each of two sites."""
    folder = tmp_path_factory.mktemp("bench")
    return write_study(
        folder / "study", preset="cue", n_per_site=2, n_travelling=0, resolution_mm=6.0
    )


@pytest.fixture(scope="module")
def derivative(study: StudyTruth) -> Path:
    """Of the truth."""
    output_dir = study.bids_dir.with_name("true")
    assert write_derivative(study.bids_dir, output_dir, resolution_mm=6.0) == 4
    return output_dir


def _centre(path: Path) -> np.ndarray:
    """Centre of a mask in the world, mm."""
    mask, affine = read_mask(path)
    return affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]


def test_the_group_level_reads_the_derivative_as_a_study(derivative: Path) -> None:
    settings = make_settings({"site": {"min_per_site": 2}}, source="test")
    found = load_study(derivative, settings=settings)
    assert found.trained_sites == ("SiteA", "SiteB")
    assert [scan.stem for scan in found.training_scans] == [
        "sub-A001", "sub-A002", STEM, "sub-B002"
    ]  # fmt: skip
    assert found.scaling_mask == "brain"
    assert found.grid_shape == (32, 40, 32)
    assert found.participants["age"].between(20, 75).all()
    assert found.scan(STEM).quality["native_i_mm"] == 6.0


def test_the_masks_are_those_of_the_truth_in_the_scans_own_world(
    study: StudyTruth, derivative: Path
) -> None:
    truth = read_truth(study.bids_dir)
    n_axes = {"brain": 3, "head": 1}  # the grid cuts off the neck: only left and right are whole
    for name, n in n_axes.items():
        found = _centre(scan_output(derivative, STEM, f"{name}_mask"))
        at_rest = _centre(truth.folder / "heads" / f"{STEM}_{name}.nii.gz")
        place = (np.linalg.inv(truth.to_person(STEM)) @ [*at_rest, 1])[:3]
        assert np.linalg.norm((found - place)[:n]) < 2.0


def test_masks_image_and_template_are_nearly_those_that_the_app_finds(
    study: StudyTruth, derivative: Path, tmp_path: Path
) -> None:
    source = next(scan.path for scan in study.scans if scan.stem == STEM)
    scan_file, brain_file = tmp_path / "conformed.npz", tmp_path / "brain.npz"
    conform(source, scan_file, resolution_mm=6.0, grid_shape=None)
    mask_brain(source, scan_file, brain_file, skull_stripped=False)
    own, (own_brain, to_template) = Conformed.load(scan_file), load_brain(brain_file)
    image, affine = read_image(scan_output(derivative, STEM, "preproc"))
    shift = (np.linalg.inv(own.affine) @ affine)[:3]
    assert shift[:, :3] == pytest.approx(np.eye(3), abs=1e-6)
    assert np.abs(shift[:, 3]).max() < 1.01  # voxels: the grid is placed by the head mask
    i, j, k = image.shape
    grid = Grid(shape=(i, j, k), affine=affine)
    for name, mask, least in (("head", own.head_mask, 0.95), ("brain", own_brain, 0.93)):
        true_mask, _ = read_mask(scan_output(derivative, STEM, f"{name}_mask"))
        covered = resample_mask(np.ones_like(mask), own.affine, grid)
        assert dice(resample_mask(mask, own.affine, grid), true_mask & covered) > least
    there = resample(own.volume, own.affine, grid, interpolation="linear")
    both = (image > 0) & (there > 0)
    assert np.corrcoef(image[both], there[both])[0, 1] > 0.95
    transform = scan_output(derivative, STEM, "xfm_preproc_to_template")
    to_scan = from_itk_transform(sitk.ReadTransform(str(transform)))
    brain = np.argwhere(own_brain) @ own.affine[:3, :3].T + own.affine[:3, 3]
    apart = nb.affines.apply_affine(to_scan @ to_template, brain) - brain
    assert np.sqrt((apart**2).sum(axis=1).mean()) < 6.0  # the true one leaves out the warp


@pytest.mark.slow
def test_the_derivative_has_the_files_and_columns_of_the_participant_level(
    study: StudyTruth, derivative: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    words = [str(study.bids_dir), str(own), "participant", "--resolution", "6", "--no-tissue"]
    run_app([*words, "--participant-label", "B001", "--nprocs", "1"], tmp_path / "log.txt")
    left, right = (
        {path.relative_to(folder) for path in folder.glob(f"{STEM}/**/*.*")}
        for folder in (own, derivative)
    )
    assert {path for path in left if path.parts[1] not in ("figures", "log")} == right
    columns = [
        pd.read_csv(folder / STEM / f"{STEM}_scans.tsv", sep="\t").columns.tolist()
        for folder in (own, derivative)
    ]
    assert columns[0] == columns[1]


def test_distances_are_those_of_planted_maxima(
    study: StudyTruth, derivative: Path, tmp_path: Path
) -> None:
    place = json.loads((study.truth_dir / "scans.json").read_text())[STEM]["cue_mm"]
    _, affine = read_image(scan_output(derivative, STEM, "preproc"))
    volume = np.zeros((40, 40, 40), np.float32)
    at = affine.copy()
    at[:3, 3] = np.array(place) - at[:3, :3] @ [20, 20, 20] + [3.0, 4.0, 0.0]
    volume[20, 20, 20] = 1.0
    path = scan_output(tmp_path, STEM, "site_saliency")
    path.parent.mkdir(parents=True)
    write_image(path, volume, at)
    distances, mean_mm = cue_distances(study.bids_dir, tmp_path)
    assert distances == {STEM: pytest.approx(5.0, abs=1e-3)}
    assert isnan(mean_mm)
    mean_map = site_output(tmp_path, "SiteB", "site_mean_saliency")
    mean_map.parent.mkdir(parents=True)
    at[:3, 3] = np.array([27.0, 2.0, 0.0]) - at[:3, :3] @ [20, 20, 20] + [0.0, 0.0, 7.0]
    write_image(mean_map, volume, at)
    assert cue_distances(study.bids_dir, tmp_path)[1] == pytest.approx(7.0, abs=1e-3)


def test_rows_are_told_with_n_and_interval(tmp_path: Path) -> None:
    lines = (
        "model\tsplit\tn\taccuracy\taccuracy_low\taccuracy_high\tbalanced_accuracy\tbalanced_low"
        "\tbalanced_high\tchance\tp_permutation\n"
        "network\tvalidation\t300\t0.9933\t0.976\t0.998\t0.99\t0.97\t0.997\t0.1667\tn/a\n"
    )
    (tmp_path / "group_siteclassification.tsv").write_text(lines)
    (row,) = read_table(tmp_path, "group_siteclassification").to_dict("records")
    assert describe_row(row) == (
        "network validation: n 300, accuracy 0.993 (0.976 to 0.998), "
        "balanced_accuracy 0.990 (0.970 to 0.997), chance 0.167"
    )
    assert read_table(tmp_path, "group_no_such_table").empty


def test_the_time_of_the_folds_ends_with_the_last_one() -> None:
    log = (
        "2026-01-05 23:59:50 INFO    stage classify: site classifier\n"
        "2026-01-06 00:00:10 INFO    fold-1: 60 of 60, loss 0.5\n"
        "2026-01-06 00:00:55 INFO    fold-2: 60 of 60, loss 0.5\n"
        "2026-01-06 00:01:55 INFO    final: 60 of 60, loss 0.5\n"
    )
    assert fold_seconds(log) == 65
    assert isnan(fold_seconds("nothing"))


def test_permutation_p_is_small_for_right_names_and_large_for_guesses() -> None:
    rng = np.random.default_rng(0)
    sites = np.repeat(["A", "B", "C", "D", "E"], 20)
    table = pd.DataFrame({"site": sites, "fold": np.tile([1, 2, 3, 4], 25)})
    assert permutation_p(table.assign(predicted=sites), rng=rng, n=199) == pytest.approx(1 / 200)
    p_values = [
        permutation_p(table.assign(predicted=rng.permutation(sites)), rng=rng, n=99)
        for _ in range(40)
    ]
    assert 0.3 < np.mean(p_values) < 0.75
    assert table["site"].tolist() == sites.tolist()


def test_speed_is_measured_on_mapped_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bids_harmonize.training.classifier_fit._LEAST_ITERATIONS", 60)
    source = random_volumes(tmp_path, resolution_mm=6.0, n_scans=4)
    found = measure(source, nprocs=1, n_epochs=12)
    assert found["n"] == 4
    assert 0.5 < found["training_scans_per_s"] < 5000
    assert found["inference_scans_per_s"] > found["training_scans_per_s"] / 2
    assert 0.1 < found["own_memory_gb"] < 2
