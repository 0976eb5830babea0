import gzip
import hashlib

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.bids.images import read_grid, read_image, read_mask, write_image
from bids_harmonize.errors import OutputError, ScanError
from tests.bids.trees import write_volume

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = nb.eulerangles.euler2mat(0.1, -0.2, 0.3) * [-1.9, 2.4, 2.9]
OBLIQUE[:3, 3] = (30.0, -20.0, -10.0)


def save(path, data, affine=None):
    image = nb.Nifti1Image(data, np.eye(4) * [2, 2, 2, 1] if affine is None else affine)
    nb.save(image, path)
    return path


def test_what_is_written_is_read_back_exactly(tmp_path):
    volume = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    write_image(tmp_path / "a.nii.gz", volume, OBLIQUE)
    again, affine = read_image(tmp_path / "a.nii.gz")
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, volume)
    np.testing.assert_allclose(affine, OBLIQUE, atol=1e-6)


def test_the_same_volume_gives_the_same_file_without_name_and_time(tmp_path):
    paths = [write_volume(tmp_path / name) for name in ("a.nii.gz", "longer.nii.gz")]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert len(digests) == 1
    assert paths[0].read_bytes()[3:8] == bytes(5)  # no flags, no time


def test_both_transforms_have_code_1_and_masks_are_bytes(tmp_path):
    write_image(tmp_path / "m.nii.gz", np.eye(4)[..., None].repeat(3, 2), OBLIQUE, dtype=np.uint8)
    header = nb.load(tmp_path / "m.nii.gz").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert header.get_data_dtype() == np.uint8
    mask, _ = read_mask(tmp_path / "m.nii.gz")
    assert mask.sum() == 12


def test_nothing_temporary_is_left(tmp_path):
    write_volume(tmp_path / "a.nii.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path):
    data = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6, 1)
    volume, _ = read_image(save(tmp_path / "a.nii", data))
    np.testing.assert_array_equal(volume, data[..., 0])


def test_scale_factors_of_the_file_are_applied(tmp_path):
    path = save(tmp_path / "a.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, 3], np.float32).tobytes()
    path.write_bytes(bytes(raw))
    volume, _ = read_image(path)
    np.testing.assert_array_equal(volume.ravel(), 3 + np.arange(64) / 2)


def test_voxels_that_are_not_finite_become_zero(tmp_path, caplog):
    data = np.ones((4, 4, 4), np.float32)
    data[0, 0, 0], data[1, 1, 1], data[2, 2, 2] = np.nan, np.inf, 5
    volume, _ = read_image(save(tmp_path / "a.nii", data))
    assert volume[0, 0, 0] == volume[1, 1, 1] == 0
    assert "2 voxels are not finite" in caplog.text


def test_several_volumes_are_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.ones((4, 4, 4, 2), np.float32))
    with pytest.raises(ScanError, match="4 x 4 x 4 x 2 holds 2 volumes"):
        read_image(path)


def test_a_slice_is_no_volume(tmp_path):
    with pytest.raises(ScanError, match="no 3D volume"):
        read_image(save(tmp_path / "a.nii", np.ones((8, 8, 1), np.float32)))


@pytest.mark.parametrize("n_bytes", [0, 30, 300, 700])
def test_a_truncated_file_is_named(tmp_path, n_bytes):
    path = write_volume(tmp_path / "a.nii.gz", shape=(20, 20, 20))
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ScanError, match=r"a\.nii\.gz: "):
        read_image(path)


def test_a_header_that_claims_more_than_there_is_lies(tmp_path):
    path = save(tmp_path / "a.nii", np.ones((4, 4, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ScanError, match="truncated or damaged"):
        read_image(path)


def test_damaged_compressed_bytes_are_named(tmp_path):
    path = write_volume(tmp_path / "a.nii.gz", shape=(30, 30, 30))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ScanError, match="damaged"):
        read_image(path)


def test_voxel_sizes_that_contradict_each_other_are_a_lie(tmp_path):
    path = save(tmp_path / "a.nii", np.eye(4, dtype=np.float32)[..., None].repeat(4, 2))
    raw = bytearray(path.read_bytes())
    raw[80:92] = np.array([1, 1, 1], np.float32).tobytes()
    path.write_bytes(bytes(raw))
    with pytest.raises(ScanError, match="1 x 1 x 1 mm in pixdim, 2 x 2 x 2 mm in the affine"):
        read_grid(path)


def test_impossible_voxel_sizes_are_a_lie(tmp_path):
    path = save(tmp_path / "a.nii", np.ones((4, 4, 4), np.float32), np.diag([400.0, 1, 1, 1]))
    with pytest.raises(ScanError, match="the header lies: voxel size 400 x 1 x 1 mm"):
        read_image(path)


def test_an_image_of_one_value_is_refused(tmp_path):
    path = save(tmp_path / "a.nii", np.full((4, 4, 4), 3, np.int16))
    with pytest.raises(ScanError, match="same value, 3"):
        read_image(path)


def test_an_image_without_a_finite_voxel_is_refused(tmp_path):
    path = save(tmp_path / "a.nii", np.full((4, 4, 4), np.nan, np.float32))
    with pytest.raises(ScanError, match="no voxel has a finite value"):
        read_image(path)


def test_complex_voxels_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", np.ones((4, 4, 4), np.complex64))
    with pytest.raises(ScanError, match="not plain numbers"):
        read_image(path)


def test_other_files_are_no_nifti(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"hello"))
    with pytest.raises(ScanError, match="no readable NIfTI file"):
        read_image(path)


def test_a_broken_link_is_called_one(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to("annex/objects/key")
    with pytest.raises(ScanError, match="broken link"):
        read_image(tmp_path / "a.nii.gz")
    with pytest.raises(ScanError, match="absent"):
        read_image(tmp_path / "b.nii.gz")


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_volume(tmp_path / "file" / "a.nii.gz")
