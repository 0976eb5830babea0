"""A small raw dataset of made-up heads: bright ellipsoids with a darker rim, in noise."""

import json
import shutil
import time
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.bids.index import Scan
from bids_harmonize.config import Settings, make_settings
from bids_harmonize.preprocessing.run import run_participants

SHAPE = (44, 54, 52)
VOXEL_MM = 4.0
CENTRE_MM = np.array([3.0, -8.0, 12.0])
RADII_MM = np.array([75.0, 95.0, 90.0])


def make_head(affine: np.ndarray, *, seed: int) -> np.ndarray:
    """Ellipsoid at ``CENTRE_MM``: 900 inside, 400 in the rim, about 20 outside."""
    voxels = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    radius = np.sqrt((((world - CENTRE_MM) / RADII_MM) ** 2).sum(axis=-1))
    volume = np.where(radius < 0.85, 900.0, np.where(radius < 1.0, 400.0, 0.0))
    noise = np.random.default_rng(seed).normal(0.0, 20.0, (*SHAPE, 2))
    return np.hypot(volume + noise[..., 0], noise[..., 1]).astype(np.float32)


def ras_affine() -> np.ndarray:
    """4 mm, axes along the world's, centred on the head."""
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = CENTRE_MM - VOXEL_MM * (np.array(SHAPE) - 1) / 2
    return affine


def write_scan(bids_dir: Path, stem: str, *, seed: int, affine: np.ndarray | None = None) -> Scan:
    """Write a raw scan and its dataset's description."""
    affine = ras_affine() if affine is None else affine
    parts = stem.split("_")
    session = parts[1] if len(parts) > 1 and parts[1].startswith("ses-") else None
    folder = bids_dir / parts[0] / (session or "") / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}_T1w.nii.gz"
    nb.save(nb.Nifti1Image(make_head(affine, seed=seed), affine), path)
    path.with_name(f"{stem}_T1w.json").write_text(json.dumps({"MagneticFieldStrength": 3}))
    description = {"Name": "made-up heads", "BIDSVersion": "1.10.0"}
    (bids_dir / "dataset_description.json").write_text(json.dumps(description))
    return Scan(
        path=path,
        participant_id=parts[0],
        session_id=session,
        entities=dict(part.split("-") for part in parts),
        site="Site A",
        site_source="participants.tsv",
    )


def make_run_settings(**changes: dict[str, object]) -> Settings:
    """4 mm, no brain mask, one process; sections given here are merged in."""
    values: dict[str, dict[str, object]] = {
        "preprocessing": {"resolution_mm": 4.0, "brain_mask": "none"},
        "resources": {"nprocs": 1},
    }
    for section, content in changes.items():
        values[section] = {**values.get(section, {}), **content}
    return make_settings(values, source="the test")


@pytest.fixture
def scans(tmp_path: Path) -> tuple[Scan, ...]:
    """Two participants with one scan each."""
    bids_dir = tmp_path / "bids"
    return (write_scan(bids_dir, "sub-01_ses-A", seed=1), write_scan(bids_dir, "sub-02", seed=3))


def run_scans(
    scans: tuple[Scan, ...], output_dir: Path, settings: Settings
) -> dict[str, tuple[str, str | None]]:
    """Run the participant level; stem to status and message."""
    outcomes = run_participants(
        scans,
        output_dir=output_dir,
        work_dir=output_dir.with_name(f"{output_dir.name}-work"),
        settings=settings,
        run_id=f"run{time.monotonic_ns()}",
    )
    return {outcome.scan.stem: (outcome.status, outcome.message) for outcome in outcomes}


def states(scans: tuple[Scan, ...], output_dir: Path, settings: Settings) -> list[str]:
    """Run the participant level; the status of each scan."""
    return [status for status, _ in run_scans(scans, output_dir, settings).values()]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Scan, ...], Path]:
    """Raw scans and what one process made of them; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("study")
    scans = (
        write_scan(folder / "bids", "sub-01_ses-A_run-1", seed=1),
        write_scan(folder / "bids", "sub-01_ses-A_run-2", seed=2),
        write_scan(folder / "bids", "sub-02", seed=3),
    )
    assert states(scans, folder / "out", make_run_settings()) == ["done"] * 3
    return scans, folder / "out"


@pytest.fixture
def finished(
    study: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> tuple[tuple[Scan, ...], Path]:
    """The same, free to be changed."""
    scans, output_dir = study
    shutil.copytree(output_dir, tmp_path / "out")
    return scans, tmp_path / "out"
