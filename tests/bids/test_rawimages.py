"""Voxels as nobody cleaned them."""

import numpy as np
import pytest

from bids_harmonize.bids.rawimages import read_raw
from bids_harmonize.errors import ScanError
from tests.bids.nifti_files import affine_of, head_like, write_nifti


def raw(folder, data, **fields):
    return read_raw(write_nifti(folder / "a.nii.gz", data, **fields))


def noisy(rng, *, spread=1.0):
    return (head_like() * 5 + rng.normal(0, spread, (20, 22, 24))).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_a_clean_image_is_left_alone(tmp_path):
    found = raw(tmp_path, head_like(dtype=np.uint16))
    np.testing.assert_array_equal(found.volume, head_like())
    assert (found.intensity_offset, found.flags) == (0.0, ())
    assert (found.affine_source, found.dtype) == ("sform", "uint16")


def test_negative_voxels_around_zero_become_zero(tmp_path, rng):
    data = noisy(rng)
    found = raw(tmp_path, data)
    np.testing.assert_array_equal(found.volume, np.maximum(data, 0))
    assert found.intensity_offset == 0.0
    n_negative = int((data < 0).sum())
    assert n_negative > 3000
    assert found.flags == (f"{n_negative} voxels are negative (down to {data.min():g}); set to 0",)


def test_a_padding_far_below_zero_becomes_zero(tmp_path):
    data = head_like(dtype=np.int16)
    data[:3] = -32768
    found = raw(tmp_path, data)
    np.testing.assert_array_equal(found.volume, np.maximum(data, 0))
    assert found.intensity_offset == 0.0


@pytest.mark.parametrize("padding", [False, True])
def test_an_image_with_an_offset_is_lifted_and_says_by_how_much(tmp_path, rng, padding):
    data = np.abs(noisy(rng)) - 400
    if padding:
        data[:3] = -2000
    found = raw(tmp_path, data)
    content = data[3:] if padding else data
    assert found.intensity_offset == pytest.approx(-content.min())
    np.testing.assert_allclose(
        found.volume[3:], data[3:] + np.float32(found.intensity_offset), atol=1e-4
    )
    assert found.volume.min() == 0
    assert found.flags[0].endswith(f"; the image was lifted by {found.intensity_offset:g}")


def test_a_signed_inversion_recovery_image_keeps_its_order(tmp_path, rng):
    data = (head_like() / 120 - 0.5 + rng.normal(0, 0.01, (20, 22, 24))).astype(np.float32)
    found = raw(tmp_path, data)
    assert found.intensity_offset == pytest.approx(0.5, abs=0.1)
    order = np.argsort(data, axis=None)
    assert (np.diff(found.volume.ravel()[order]) >= 0).all()


def test_voxels_that_are_not_finite_hold_no_signal(tmp_path):
    data = head_like()
    data[0, 0, :4] = np.nan
    data[10, 11, 12] = np.inf
    data[10, 11, 13] = -np.inf
    found = raw(tmp_path, data)
    wanted = np.where(np.isfinite(data), data, 0)
    np.testing.assert_array_equal(found.volume, wanted)
    assert found.flags == ("6 voxels (0.06%) are not finite; set to 0",)


def test_not_finite_and_negative_together(tmp_path):
    data = head_like() - 60
    data[head_like() == 0] = np.nan
    found = raw(tmp_path, data)
    assert found.intensity_offset == -np.nanmin(data) > 50
    np.testing.assert_array_equal(found.volume, np.nan_to_num(data - np.nanmin(data)))
    assert len(found.flags) == 2


def test_a_slope_beyond_float32_is_not_finite(tmp_path):
    data = head_like(dtype=np.float64)
    data[10, 11, 12] = 1e300
    found = raw(tmp_path, data)
    assert found.volume[10, 11, 12] == 0
    assert "1 voxels (0.01%) are not finite" in found.flags[0]


@pytest.mark.parametrize(
    ("shape", "size_mm", "told"),
    [
        ((5, 256, 256), 1.0, "5 x 256 x 256 voxels cover 5 x 256 x 256 mm"),
        ((256, 256, 9), 10.0, "256 x 256 x 9 voxels cover 2560 x 2560 x 90 mm"),
        ((120, 120, 70), 1.0, "120 x 120 x 70 voxels cover 120 x 120 x 70 mm"),
    ],
)
def test_a_slab_is_no_head(tmp_path, shape, size_mm, told):
    with pytest.raises(ScanError) as raised:
        raw(tmp_path, head_like(shape, np.uint8), sform=affine_of(size_mm))
    assert str(raised.value) == (
        f"{tmp_path / 'a.nii.gz'}: {told}, expected at least 10 voxels and 80 mm along each"
        " axis: a slab or a localizer shows no whole head; leave the scan out, for instance with"
        " --bids-filter-file"
    )


def test_thick_slices_are_a_head(tmp_path):
    affine = affine_of()
    affine[2, 2] = 8.0
    assert raw(tmp_path, head_like((20, 22, 10)), sform=affine).volume.shape == (20, 22, 10)


def test_reading_twice_gives_the_same(tmp_path, rng):
    write_nifti(tmp_path / "a.nii.gz", noisy(rng) - 300)
    first, second = (read_raw(tmp_path / "a.nii.gz") for _ in range(2))
    np.testing.assert_array_equal(first.volume, second.volume)
    assert first.flags == second.flags
