"""From the raw file to the study grid, against SimpleITK reading the same file by itself."""

from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
import SimpleITK as sitk

from bids_harmonize.preprocessing.steps import Conformed, conform
from tests.imaging.heads import ORIENTATIONS, make_scan, oblique

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))

RAW = {
    "straight, finer": (np.eye(3), 2.0),
    "LAS, 0.7 of the grid": (ORIENTATIONS["LAS"], 2.8),
    "PSR, thick slices": (ORIENTATIONS["PSR"], (2.5, 2.5, 6.0)),
    "oblique, thick slices": (oblique(20.0) @ ORIENTATIONS["LPS"], (6.0, 2.4, 2.4)),
    "coarser": (np.eye(3), 6.0),
}
RESOLUTION_MM = 4.0


def write_raw(path: Path, name: str) -> None:
    directions, size_mm = RAW[name]
    volume, affine = make_scan(directions, size_mm=size_mm, length_mm=220.0)
    rough = np.random.default_rng(1).normal(1.0, 0.15, volume.shape)  # so that rings overshoot
    nb.save(nb.Nifti1Image((volume * rough).astype(np.float32), affine), path)


def by_simpleitk(source: Path, like: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The same voxels with SimpleITK's own reader, smoothing and interpolation."""
    image = sitk.ReadImage(str(source), sitk.sitkFloat32)
    spacing = np.array(image.GetSpacing())
    missing = np.maximum(RESOLUTION_MM**2 - spacing**2, 0.0)
    variances = (missing / FWHM_PER_SIGMA**2).tolist()
    smooth = sitk.DiscreteGaussian(image, variances, 64, [1e-4] * 3, True)
    target = sitk.GetImageFromArray(like.transpose(2, 1, 0))
    target.SetSpacing([RESOLUTION_MM] * 3)
    target.SetOrigin((affine[:3, 3] * [-1, -1, 1]).tolist())
    target.SetDirection(np.diag([-1.0, -1.0, 1.0]).ravel().tolist())
    result = sitk.Resample(smooth, target, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkBSpline)
    stored = sitk.GetArrayFromImage(image)
    result = sitk.Clamp(result, sitk.sitkFloat32, min(0.0, stored.min()), float(stored.max()))
    return sitk.GetArrayFromImage(result).transpose(2, 1, 0)


@pytest.mark.parametrize("name", RAW)
def test_conforming_equals_one_interpolation_by_simpleitk(name: str, tmp_path: Path) -> None:
    source = tmp_path / "raw.nii.gz"
    write_raw(source, name)
    conform(source, tmp_path / "c.npz", resolution_mm=RESOLUTION_MM, grid_shape=None)
    found = Conformed.load(tmp_path / "c.npz")
    wanted = by_simpleitk(source, np.zeros_like(found.volume), found.affine)
    inside = found.head_mask
    assert (found.volume[~inside] == 0).all()
    assert found.volume[inside].std() > 10
    difference = np.abs(found.volume - wanted)[inside].max() / wanted[inside].max()
    assert difference < 2e-6  # found: 8e-7 at most, a few steps of float32
