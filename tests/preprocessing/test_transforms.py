"""Transform files as ITK reads them."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from bids_harmonize.preprocessing.transforms import write_identity, write_to_template


def test_the_transform_to_the_template_sends_template_points_to_the_image(tmp_path: Path) -> None:
    world_to_template = np.array(
        [[0.9, 0.1, 0.0, 5.0], [-0.1, 0.95, 0.05, -3.0], [0.0, 0.02, 1.1, 8.0], [0, 0, 0, 1]]
    )
    write_to_template(tmp_path / "xfm.h5", world_to_template)
    point = np.array([10.0, -20.0, 30.0])  # RAS, in the image's world
    there = (world_to_template @ [*point, 1.0])[:3]
    to_lps = np.array([-1.0, -1.0, 1.0])
    back = sitk.ReadTransform(str(tmp_path / "xfm.h5")).TransformPoint((there * to_lps).tolist())
    assert np.array(back) * to_lps == pytest.approx(point, abs=1e-9)


def test_the_identity_is_what_itk_takes_for_one(tmp_path: Path) -> None:
    write_identity(tmp_path / "xfm.txt")
    transform = sitk.ReadTransform(str(tmp_path / "xfm.txt"))
    assert transform.TransformPoint((1.0, -2.0, 3.0)) == (1.0, -2.0, 3.0)
