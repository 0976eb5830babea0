"""What a NIfTI file can hold, and every way in which it can be broken."""

import gzip
import re

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.bids.images import read_grid, read_image, read_stored
from bids_harmonize.bids.nifti import open_nifti, read_voxels
from bids_harmonize.errors import ScanError
from tests.bids.nifti_files import affine_of, head_like, write_nifti

TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_plain_type_in_either_byte_order_is_read(tmp_path, kind, order):
    data = head_like(dtype=np.dtype(kind))
    stored = read_stored(write_nifti(tmp_path / "a.nii.gz", data, order=order))
    assert stored.volume.dtype == np.float32
    assert stored.dtype == np.dtype(kind).name
    np.testing.assert_array_equal(stored.volume, head_like())
    assert stored.flags == ()


@pytest.mark.parametrize(
    ("slope", "intercept", "applied"),
    [
        (0.5, 3.0, (0.5, 3.0)),
        (-2.0, 0.0, (-2.0, 0.0)),
        (0.0, 7.0, (1.0, 0.0)),
        (np.nan, 7.0, (1.0, 0.0)),
        (np.inf, 7.0, (1.0, 0.0)),
        (2.0, np.nan, (2.0, 0.0)),
    ],
)
def test_the_slope_is_applied_unless_it_is_none(tmp_path, slope, intercept, applied):
    data = head_like(dtype=np.int16)
    path = write_nifti(tmp_path / "a.nii", data, scl_slope=slope, scl_inter=intercept)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.volume, data * applied[0] + applied[1])
    told = ("the intercept in the header is not finite and was taken as 0",)
    assert stored.flags == (told if np.isnan(intercept) else ())


def test_a_wide_integer_with_a_slope_loses_no_more_than_float32_does(tmp_path):
    data = head_like(dtype=np.int32) + 2**28
    path = write_nifti(tmp_path / "a.nii", data, scl_slope=2.0**-10, scl_inter=-(2.0**18))
    np.testing.assert_array_equal(read_stored(path).volume, head_like() / 2**10)


@pytest.mark.parametrize("shape", [(20, 22, 24, 1), (20, 22, 24, 1, 1)])
def test_more_axes_of_length_one_are_dropped(tmp_path, shape):
    path = write_nifti(tmp_path / "a.nii.gz", head_like(shape))
    np.testing.assert_array_equal(read_stored(path).volume, head_like())
    assert read_grid(path)[0] == (20, 22, 24)


def test_bytes_count_more_than_the_name(tmp_path):
    data = head_like()
    plain = write_nifti(tmp_path / "plain.nii", data).rename(tmp_path / "a.nii.gz")
    packed = write_nifti(tmp_path / "packed.nii.gz", data).rename(tmp_path / "b.nii")
    for path, found in ((plain, "not compressed"), (packed, "compressed")):
        stored = read_stored(path)
        np.testing.assert_array_equal(stored.volume, data)
        assert stored.flags == (f"the file is {found} although its name says otherwise",)


def test_nifti_2_is_read(tmp_path):
    nb.save(nb.Nifti2Image(head_like(), affine_of()), tmp_path / "a.nii.gz")
    volume, affine = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume, head_like())
    np.testing.assert_array_equal(affine, affine_of())


def test_an_extension_between_header_and_voxels_is_passed_over(tmp_path):
    image = nb.Nifti1Image(head_like(), affine_of())
    image.header.extensions.append(nb.nifti1.Nifti1Extension("comment", b"hello" * 20))
    nb.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz")[0], head_like())


def test_bytes_behind_the_voxels_are_told(tmp_path):
    path = write_nifti(tmp_path / "a.nii", np.concatenate([head_like()] * 2, axis=2))
    content = bytearray(path.read_bytes())
    content[46:48] = np.array([24], np.int16).tobytes()  # dim[3]
    path.write_bytes(content)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.volume, head_like())
    assert stored.flags == (
        f"{20 * 22 * 24 * 4} bytes follow the voxels that the header claims; left out",
    )


def refusal(path):
    """The message with which an image is refused; it begins with the file's name."""
    with pytest.raises(ScanError) as raised:
        read_stored(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_more_than_there_is_names_both(tmp_path, name):
    path = write_nifti(tmp_path / name, head_like(dtype=np.int16), dim=[3, 20, 22, 40, 1, 1, 1, 1])
    told = refusal(path)
    assert "the header lies about the shape" in told
    assert "expected 20 x 22 x 40 voxels of int16; copy or convert it again" in told
    found = "voxels for 24 slices of 20 x 22" if name.endswith("gz") else "21472 bytes"
    assert f"found {found}, " in told


def test_an_absurd_claim_is_refused_before_memory_is_asked_for(tmp_path):
    shape = [3, 32000, 32000, 32000, 1, 1, 1, 1]
    path = write_nifti(tmp_path / "a.nii.gz", head_like(), dim=shape)
    told = refusal(path)
    assert "expected 32000 x 32000 x 32000 voxels of float32" in told
    assert "bytes compressed" in told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dim": [3, 20, 0, 24, 1, 1, 1, 1]}, "found the shape 20 x 0 x 24, expected positive"),
        ({"dim": [3, 20, -22, 24, 1, 1, 1, 1]}, "found the shape 20 x -22 x 24, expected"),
        ({"dim": [2, 20, 528, 1, 1, 1, 1, 1]}, "20 x 528 is no 3D volume; expected three axes"),
        (
            {"dim": [4, 20, 22, 12, 2, 1, 1, 1]},
            "20 x 22 x 12 x 2 holds 2 volumes, expected one; extract or average them",
        ),
        (
            {"dim": [3, -1, 1, 1, 1, 1, 1, 1], "glmin": 0},
            "the header lies: -1 in dim[1] but 0 in glmin",
        ),
        ({"vox_offset": np.inf}, "the header lies: cannot convert float infinity to integer"),
        ({"datatype": 77}, "voxels of type unknown code 77 are not plain numbers; expected"),
        ({"magic": b"ni1"}, "found an Analyze header or one of a pair of files, expected NIfTI"),
        ({"magic": b""}, "found an Analyze header or one of a pair of files, expected NIfTI"),
    ],
)
def test_each_lie_has_its_message(tmp_path, fields, told):
    assert told in refusal(write_nifti(tmp_path / "a.nii.gz", head_like(), **fields))


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.dtype("c8"), "complex64"),
        (np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), "RGB"),
    ],
)
def test_complex_numbers_and_colours_are_no_scan(tmp_path, dtype, name):
    path = write_nifti(tmp_path / "a.nii.gz", np.zeros((20, 22, 24), dtype))
    told = refusal(path)
    assert f"voxels of type {name} are not plain numbers; expected integers or floats" in told
    assert "take the magnitude of complex images, convert colour pictures again" in told


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_gzip_says_how_far_it_could_be_read(tmp_path, share):
    data = np.random.default_rng(0).integers(0, 255, (40, 40, 700)).astype(np.float32)
    path = write_nifti(tmp_path / "a.nii.gz", data)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    told = refusal(path)
    done = int(re.search(r"truncated or damaged after (\d+) of 700 slices", told).group(1))
    assert done / 700 == pytest.approx(share - 0.24, abs=0.25)  # told in steps of 327 slices
    assert told.endswith("; copy or convert it again")


def test_a_wrong_checksum_is_damage(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", head_like())
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    assert "truncated or damaged" in refusal(path)
    assert "CRC" in refusal(path)


def test_empty_files_folders_and_files_without_permission_are_told(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"")
    assert "no readable NIfTI file (it is empty (0 bytes))" in refusal(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").mkdir()
    assert "no readable NIfTI file (it is a folder)" in refusal(tmp_path / "b.nii.gz")
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"hello"))
    assert "no readable NIfTI file (its header is none)" in refusal(tmp_path / "c.nii.gz")
    (tmp_path / "d.nii.gz").write_bytes(gzip.compress(b"hello" * 500)[:20])
    assert "no readable NIfTI file (Compressed file ended" in refusal(tmp_path / "d.nii.gz")


def test_a_link_to_what_cannot_be_reached_is_told(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to("a.nii.gz")  # a circle: ELOOP, as EACCES and EIO are
    assert "the image cannot be reached: Too many levels of symbolic links" in refusal(
        tmp_path / "a.nii.gz"
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.zeros((20, 22, 24), np.int16), "all voxels have the same value, 0; expected"),
        (np.full((20, 22, 24), 7.5, np.float32), "all voxels have the same value, 7.5; expected"),
        (np.full((20, 22, 24), np.nan, np.float32), "no voxel has a finite value; expected"),
        (
            np.where(head_like() > 0, np.float32(3), np.float32(np.nan)),
            "all voxels have the same value, 3; expected",
        ),
    ],
)
def test_an_image_that_holds_nothing_is_refused(tmp_path, data, told):
    message = refusal(write_nifti(tmp_path / "a.nii.gz", data))
    assert told in message
    assert message.endswith("an image of a head: convert it again, or leave the scan out")


def test_the_voxels_lie_in_memory_as_in_the_file(tmp_path):
    file = open_nifti(write_nifti(tmp_path / "a.nii.gz", head_like()))
    assert read_voxels(file)[0].flags.f_contiguous
