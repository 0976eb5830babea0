"""Transform files as ITK reads them."""

import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.preprocessing.transforms import write_identity, write_to_template

TO_LPS = np.array([-1.0, -1.0, 1.0])
TEMPLATE_TO_SCAN = np.array(
    [[0.9, 0.1, 0.0, 5.0], [-0.1, 0.95, 0.05, -3.0], [0.0, 0.02, 1.1, 8.0], [0, 0, 0, 1]]
)


@pytest.fixture
def field() -> tuple[np.ndarray, Grid]:
    """Displacements of some mm on a grid with a flipped axis and three voxel sizes."""
    affine = np.diag([-4.0, 5.0, 6.0, 1.0])
    affine[:3, 3] = (40.0, -50.0, -60.0)
    shape = (14, 15, 16)
    values = np.random.default_rng(0).normal(0, 5, (*shape, 3)).astype(np.float32)
    return values, Grid(shape=shape, affine=affine)


def _through(path: Path, point: np.ndarray) -> np.ndarray:
    transform = sitk.ReadTransform(str(path))
    return np.array(transform.TransformPoint((point * TO_LPS).tolist())) * TO_LPS


def test_the_affine_sends_template_points_to_the_image(tmp_path: Path) -> None:
    write_to_template(tmp_path / "xfm.h5", TEMPLATE_TO_SCAN)
    point = np.array([10.0, -20.0, 30.0])
    expected = (TEMPLATE_TO_SCAN @ [*point, 1.0])[:3]
    assert _through(tmp_path / "xfm.h5", point) == pytest.approx(expected, abs=1e-9)


def test_the_displacement_comes_before_the_affine(
    tmp_path: Path, field: tuple[np.ndarray, Grid]
) -> None:
    displacement, grid = field
    write_to_template(
        tmp_path / "xfm.h5", TEMPLATE_TO_SCAN, displacement_mm=displacement, grid=grid
    )
    for voxel in ((3, 4, 5), (9, 2, 11)):
        point = (grid.affine @ [*voxel, 1.0])[:3]
        moved = point + displacement[voxel]
        expected = (TEMPLATE_TO_SCAN @ [*moved, 1.0])[:3]
        assert _through(tmp_path / "xfm.h5", point) == pytest.approx(expected, abs=1e-5)
    outside = np.array([400.0, 0.0, 0.0])
    expected = (TEMPLATE_TO_SCAN @ [*outside, 1.0])[:3]
    assert _through(tmp_path / "xfm.h5", outside) == pytest.approx(expected, abs=1e-9)


def test_the_file_is_the_transform_that_itk_makes_of_the_same_parts(
    tmp_path: Path, field: tuple[np.ndarray, Grid]
) -> None:
    displacement, grid = field
    write_to_template(
        tmp_path / "xfm.h5", TEMPLATE_TO_SCAN, displacement_mm=displacement, grid=grid
    )
    affine = sitk.AffineTransform(3)
    lps = np.diag([*TO_LPS, 1]) @ TEMPLATE_TO_SCAN @ np.diag([*TO_LPS, 1])
    affine.SetMatrix(lps[:3, :3].ravel().tolist())
    affine.SetTranslation(lps[:3, 3].tolist())
    vectors = (displacement * TO_LPS).astype(np.float64).transpose(2, 1, 0, 3)
    image = sitk.GetImageFromArray(vectors, isVector=True)
    image.SetOrigin((grid.affine[:3, 3] * TO_LPS).tolist())
    image.SetSpacing([4.0, 5.0, 6.0])
    image.SetDirection([1, 0, 0, 0, -1, 0, 0, 0, 1])
    composite = sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(image)])
    for point in np.random.default_rng(1).uniform(-60, 60, (50, 3)):
        expected = np.array(composite.TransformPoint((point * TO_LPS).tolist())) * TO_LPS
        assert _through(tmp_path / "xfm.h5", point) == pytest.approx(expected, abs=1e-6)


def _holds_the_time(path: Path, now: int) -> bool:
    content = path.read_bytes()
    return any(int(second).to_bytes(4, "little") in content for second in range(now - 5, now + 6))


def test_equal_transforms_are_equal_files_and_hold_no_time_of_day(
    tmp_path: Path, field: tuple[np.ndarray, Grid]
) -> None:
    displacement, grid = field
    for name in ("a.h5", "b.h5"):
        write_to_template(
            tmp_path / name, TEMPLATE_TO_SCAN, displacement_mm=displacement, grid=grid
        )
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    sitk.WriteTransform(sitk.CompositeTransform(3), str(tmp_path / "itk.h5"))
    now = int(time.time())
    assert _holds_the_time(tmp_path / "itk.h5", now)  # so the search can find one
    assert not _holds_the_time(tmp_path / "a.h5", now)
    assert not list(tmp_path.glob(".tmp*"))


def test_the_displacements_are_compressed(tmp_path: Path) -> None:
    grid = Grid(shape=(40, 50, 40), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    still = np.zeros((*grid.shape, 3), np.float32)
    write_to_template(tmp_path / "xfm.h5", TEMPLATE_TO_SCAN, displacement_mm=still, grid=grid)
    assert (tmp_path / "xfm.h5").stat().st_size < 40_000  # as it stands: 960 kB


def test_the_identity_is_what_itk_takes_for_one(tmp_path: Path) -> None:
    write_identity(tmp_path / "xfm.txt")
    transform = sitk.ReadTransform(str(tmp_path / "xfm.txt"))
    assert transform.TransformPoint((1.0, -2.0, 3.0)) == (1.0, -2.0, 3.0)
