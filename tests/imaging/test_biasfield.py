import numpy as np
import pytest

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.biasfield import correct_bias, divide_by_field
from tests.imaging.heads import make_scan, world_points


@pytest.fixture(scope="module")
def biased():
    volume, affine = make_scan(np.diag([-1.0, -1.0, 1.0]), size_mm=6.0)
    mask = volume > 80
    clean = np.where(mask, 100.0, 0.0).astype(np.float32)
    clean[mask] += np.random.default_rng(0).normal(0, 2, int(mask.sum())).astype(np.float32)
    x, y, _ = world_points(volume.shape, affine)
    truth = np.exp(0.003 * (x - 5) - 0.002 * (y + 10)).astype(np.float32)
    return clean, truth, mask, affine


def test_the_planted_field_is_found(biased):
    clean, truth, mask, affine = biased
    corrected, field = correct_bias(clean * truth, mask, affine, n_iterations=(20, 20))
    ratio = (field / truth)[mask]
    assert (truth[mask].max() / truth[mask].min()) > 1.5
    assert ratio.std() / ratio.mean() < 0.03
    assert corrected[mask].mean() == pytest.approx((clean * truth)[mask].mean(), rel=1e-4)
    np.testing.assert_allclose(corrected * field, clean * truth, rtol=1e-5, atol=1e-4)


def test_a_field_is_divided_out_inside_the_mask_alone():
    volume = np.array([[[0.0, 2.0, 4.0, 9.0]]], np.float32)
    field = np.array([[[5.0, 1.0, 4.0, 0.0]]], np.float32)
    mask = np.array([[[True, True, True, False]]])
    corrected, own = divide_by_field(volume, field, mask)
    assert corrected.ravel().tolist() == [0.0, 4.0, 2.0, 0.0]  # their mean is still 3
    assert own.ravel().tolist() == [2.5, 0.5, 2.0, 0.0]
    assert (corrected * own)[mask].tolist() == [0.0, 2.0, 4.0]


def test_equal_input_gives_equal_bits(biased):
    clean, truth, mask, affine = biased
    first = correct_bias(clean * truth, mask, affine, n_iterations=(5,))
    second = correct_bias(clean * truth, mask, affine, n_iterations=(5,))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_an_empty_mask_is_a_scan_error():
    volume = np.ones((16, 16, 16), np.float32)
    with pytest.raises(ScanError, match="positive voxels"):
        correct_bias(volume, volume < 0, np.diag([2.0, 2.0, 2.0, 1.0]))
