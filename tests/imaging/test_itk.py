import numpy as np
import pytest

from bids_harmonize.imaging._itk import (
    from_itk,
    from_itk_transform,
    geometry,
    to_itk,
    to_itk_transform,
)
from tests.imaging.heads import ORIENTATIONS, oblique


@pytest.mark.parametrize("name", [*ORIENTATIONS, "oblique"])
def test_a_voxel_keeps_its_place_in_the_world(name, rng):
    volume = rng.normal(size=(5, 6, 7)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = {**ORIENTATIONS, "oblique": oblique()}[name] * [1.0, 2.0, 3.0]
    affine[:3, 3] = (4.0, -5.0, 6.0)
    image = to_itk(volume, affine)
    lps = np.array(image.TransformIndexToPhysicalPoint((1, 2, 3)))
    np.testing.assert_allclose(lps * [-1, -1, 1], (affine @ [1, 2, 3, 1])[:3], atol=1e-9)
    assert image.GetPixel((1, 2, 3)) == volume[1, 2, 3]
    np.testing.assert_array_equal(from_itk(image), volume)
    assert geometry(affine)[1] == pytest.approx(np.linalg.norm(affine[:3, :3], axis=0))


def test_transforms_survive_the_way_there_and_back(rng):
    matrix = np.eye(4)
    matrix[:3] += 0.2 * rng.normal(size=(3, 4))
    np.testing.assert_allclose(from_itk_transform(to_itk_transform(matrix)), matrix, atol=1e-12)
