from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.phantom.images import write_raw_image

VOLUME = np.random.default_rng(0).uniform(0, 1800, (6, 7, 8)).astype(np.float32)
AFFINE = nb.affines.from_matvec(np.diag([-3.0, 3.0, 4.0]), [10, -20, 5])


@pytest.mark.parametrize(
    ("datatype", "error"), [("float32", 0.0), ("uint16", 0.5), ("int16", 1800 / 4000 / 2)]
)
def test_values_and_place_survive_every_datatype(
    datatype: str, error: float, tmp_path: Path
) -> None:
    path = tmp_path / "scan.nii.gz"
    write_raw_image(path, VOLUME, AFFINE, datatype=datatype)
    image = nb.load(path)
    assert image.get_data_dtype() == np.dtype(datatype)
    assert np.abs(image.get_fdata() - VOLUME).max() <= error * 1.01
    assert np.allclose(image.affine, AFFINE, atol=1e-5)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    slope = image.dataobj.slope
    assert (slope != 1.0) == (datatype == "int16")


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_raw_image(first, VOLUME, AFFINE, datatype="int16")
    write_raw_image(second, VOLUME, AFFINE, datatype="int16")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[3:8] == bytes(5)  # no name, no time
