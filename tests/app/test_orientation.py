"""One head, stored in many ways: what comes out must not depend on how it was stored.

Where the voxels stay and only their storage changes, the images are equal but for rounding. Where
the voxels are other samples of the same head (tilted, thick slices), the images differ by what an
interpolation loses; how much that was stands beside each bound.
"""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.bids.rawimages import read_raw
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample, resample_mask
from bids_harmonize.phantom import PRESETS, make_person, make_scanners, simulate
from bids_harmonize.phantom.session import Session
from bids_harmonize.preprocessing.steps import Conformed, conform, load_brain, mask_brain
from tests.app.conftest import run_app
from tests.bids.nifti_files import write_nifti
from tests.imaging.heads import ORIENTATIONS, head_at, make_scan, oblique, world_points

RESOLUTION_MM, RAW_MM = 3.0, 2.5  # of the made-up head, step by step
APP_RESOLUTION_MM, APP_RAW_MM = 2.0, 1.5  # of the phantom, through the app
MARKER_MM = np.array([-30.0, 45.0, 20.0])  # the bright left eye of the made-up head
TILTED = oblique(20.0)

SAME_VOXELS = {
    "LAS": (ORIENTATIONS["LAS"], np.float32, {}),
    "LPS": (ORIENTATIONS["LPS"], np.float32, {}),
    "PSR": (ORIENTATIONS["PSR"], np.float32, {}),
    "float64": (np.eye(3), np.float64, {}),
    "int16 with slope": (np.eye(3), np.int16, {"scl_slope": 1 / 128.0, "scl_inter": 100.0}),
}
OTHER_VOXELS = {
    "oblique": (TILTED, RAW_MM),
    "oblique PSR, 3 mm slices": (TILTED @ ORIENTATIONS["PSR"], (1.5, 1.5, 3.0)),
}

BLOB_MM = np.array([-45.0, -20.0, 10.0])  # in the left half of the phantom's brain
STORED = {
    "RAS": ("RAS", 0.0, np.float32, {}),
    "LAS": ("LAS", 0.0, np.float32, {}),
    "LPS": ("LPS", 0.0, np.float32, {}),
    "PSR": ("PSR", 0.0, np.float32, {}),
    "int16slope": ("RAS", 0.0, np.int16, {"scl_slope": 0.125}),
    "float64": ("RAS", 0.0, np.float64, {}),
    "oblique": ("RAS", 20.0, np.float32, {}),
}


def write_head(path, directions, size_mm, *, dtype=np.float32, **fields):
    """The made-up head of ``tests.imaging.heads``, in a file."""
    volume, affine = make_scan(directions, size_mm=size_mm)
    slope, intercept = fields.get("scl_slope", 1.0), fields.get("scl_inter", 0.0)
    stored = (volume - intercept) / slope
    stored = stored.astype(dtype) if dtype in (np.float32, np.float64) else np.rint(stored)
    return write_nifti(path, stored.astype(dtype), sform=affine, qform=affine, **fields)


def conformed(source: Path, folder: Path) -> Conformed:
    conform(source, folder / "c.npz", resolution_mm=RESOLUTION_MM, grid_shape=None)
    return Conformed.load(folder / "c.npz")


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Conformed:
    """The head as stored in RAS, float32."""
    folder = tmp_path_factory.mktemp("straight")
    return conformed(write_head(folder / "a.nii", np.eye(3), RAW_MM), folder)


def differences(found: np.ndarray, wanted: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Greatest and 99th percentile of the absolute differences, as share of the wanted p99."""
    difference = np.abs(found - wanted)[inside] / np.percentile(wanted[inside], 99)
    return float(difference.max()), float(np.percentile(difference, 99))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def marker_at(scan: Conformed) -> np.ndarray:
    brightest = np.unravel_index(scan.volume.argmax(), scan.volume.shape)
    return (scan.affine @ np.array([*brightest, 1.0]))[:3]


@pytest.mark.parametrize("name", SAME_VOXELS)
def test_the_same_voxels_stored_otherwise_give_the_same_image(name, straight, tmp_path):
    directions, dtype, fields = SAME_VOXELS[name]
    source = write_head(tmp_path / "a.nii.gz", directions, RAW_MM, dtype=dtype, **fields)
    found = conformed(source, tmp_path)
    np.testing.assert_allclose(found.affine, straight.affine, atol=1e-4)
    assert dice(found.head_mask, straight.head_mask) > 0.9999  # found: 1
    greatest, _ = differences(found.volume, straight.volume, straight.head_mask)
    assert greatest < (1e-4 if dtype == np.int16 else 1e-6)  # found: 4.5e-5 and 2.8e-7
    assert marker_at(found) == pytest.approx(MARKER_MM, abs=RESOLUTION_MM)


@pytest.mark.parametrize("name", OTHER_VOXELS)
def test_other_voxels_of_the_same_head_differ_by_interpolation_only(name, straight, tmp_path):
    directions, size_mm = OTHER_VOXELS[name]
    source = write_head(tmp_path / "a.nii.gz", directions, size_mm)
    found = conformed(source, tmp_path)
    truth = head_at(world_points(found.volume.shape, found.affine))
    greatest, p99 = differences(found.volume, truth, found.head_mask)
    offset = np.abs(found.affine - straight.affine)[:3, 3].max()
    there = resample_mask(found.raw_head_mask, nb.load(source).affine, straight.grid)
    assert offset < 2.5  # found: 1.7 mm; the grid follows the mask's outline
    assert dice(there, straight.head_mask) > 0.99  # found: 0.991 and 0.992
    assert greatest < 0.02  # found: 0.010 and 0.016
    assert p99 < 0.006  # found: 0.003 and 0.004
    assert marker_at(found) == pytest.approx(MARKER_MM, abs=RESOLUTION_MM)
    assert marker_at(found)[0] < -25


@pytest.fixture(scope="module")
def quiet_head(tmp_path_factory) -> tuple[Path, Path]:
    """A phantom head without noise in every way of storing, and what the app made of it."""
    folder = tmp_path_factory.mktemp("orientation")
    bids_dir, output_dir = folder / "bids", folder / "out"
    scanner = replace(
        make_scanners(PRESETS["default"], n_sites=1, resolution_mm=APP_RAW_MM, seed=0)[0],
        noise=0.0, coil_strength=0.0, psf_voxels=1.0, datatype="float32",
    )  # fmt: skip
    person = make_person(0, "somebody", base_mm=2.0)
    at_rest = Session((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0), 1.0, 0)
    for label, (orientation, tilt_deg, dtype, fields) in STORED.items():
        scan = simulate(
            person, replace(scanner, orientation=orientation, tilt_deg=tilt_deg), at_rest
        )
        points = world_points(scan.volume.shape, scan.affine)
        distance = ((points - BLOB_MM.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)
        volume = scan.volume + 1.5 * scanner.scale * np.exp(-distance / (2 * 5.0**2))
        stored = volume / fields.get("scl_slope", 1.0)
        stored = np.rint(stored) if dtype == np.int16 else stored
        anat = bids_dir / f"sub-{label}" / "anat"
        anat.mkdir(parents=True)
        path = anat / f"sub-{label}_T1w.nii.gz"
        write_nifti(path, stored.astype(dtype), sform=scan.affine, qform=scan.affine, **fields)
    description = {"Name": "one head", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (bids_dir / "dataset_description.json").write_text(json.dumps(description))
    run = run_app(
        *(bids_dir, output_dir, "participant", "--resolution", APP_RESOLUTION_MM),
        *("--no-tissue", "--nprocs", 2),
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return bids_dir, output_dir


def output(folder: Path, label: str, ending: str) -> tuple[np.ndarray, np.ndarray]:
    image = nb.load(folder / f"sub-{label}" / "anat" / f"sub-{label}_{ending}.nii.gz")
    return np.asarray(image.dataobj), image.affine


def on_the_grid_of(grid: Grid, source: Path, folder: Path) -> dict[str, np.ndarray]:
    """What the app's steps make of a scan, on another scan's grid, by the same interpolations."""
    conform(source, folder / "own.npz", resolution_mm=APP_RESOLUTION_MM, grid_shape=None)
    own, raw = Conformed.load(folder / "own.npz"), read_raw(source)
    head = resample_mask(own.raw_head_mask, raw.affine, grid)
    volume = np.where(head, resample(raw.volume, raw.affine, grid), 0)
    Conformed(volume, head, grid.affine, own.raw_head_mask).save(folder / "there.npz")
    mask_brain(source, folder / "there.npz", folder / "brain.npz", skull_stripped=False)
    return {"volume": volume, "head": head, "brain": load_brain(folder / "brain.npz")[0]}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("label", STORED)
def test_the_app_makes_the_same_of_a_head_however_it_is_stored(label, quiet_head, tmp_path):
    bids_dir, output_dir = quiet_head
    wanted, wanted_affine = output(output_dir, "RAS", "desc-preproc_T1w")
    volume, affine = output(output_dir, label, "desc-preproc_T1w")
    masks = {
        kind: output(output_dir, label, f"desc-{kind}_mask")[0] > 0 for kind in ("head", "brain")
    }
    found = {"volume": volume, **masks}
    place = affine @ np.array([*np.unravel_index(volume.argmax(), volume.shape), 1.0])
    assert place[:3] == pytest.approx(BLOB_MM, abs=APP_RESOLUTION_MM)
    assert place[0] < -40  # left is left
    if label == "oblique":
        source = bids_dir / "sub-oblique" / "anat" / "sub-oblique_T1w.nii.gz"
        assert np.abs(affine - wanted_affine).max() < 2.5  # found: 1.8 mm
        grid = Grid(shape=wanted.shape, affine=wanted_affine)
        found = on_the_grid_of(grid, source, tmp_path)
    else:
        np.testing.assert_allclose(affine, wanted_affine, atol=1e-4)
    head, brain = (output(output_dir, "RAS", f"desc-{kind}_mask")[0] > 0 for kind in masks)
    greatest, p99 = differences(found["volume"], wanted, head & found["head"])
    dices = [dice(found["head"], head), dice(found["brain"], brain)]
    if label == "oblique":
        assert greatest < 0.08  # found: 0.057, at sharp edges
        assert p99 < 0.03  # found: 0.020
        assert min(dices) > 0.99  # found: head 0.996, brain 0.992
    else:
        assert greatest < (1e-4 if label == "int16slope" else 1e-6)  # found: 7.3e-5 and 2.6e-7
        assert min(dices) > 0.9999  # found: at most one voxel of the head differs
