import math

import numpy as np
import pytest
import torch
from monai.metrics.regression import compute_ssim_and_cs
from skimage.metrics import structural_similarity

from bids_harmonize.metrics.similarity import correlation, mae, psnr, ssim


@pytest.fixture
def pair():
    rng = np.random.default_rng(4)
    target = np.cumsum(rng.normal(size=(20, 24, 22)), axis=0)
    target = (target - target.min()) / np.ptp(target)
    image = target + rng.normal(scale=0.1, size=target.shape)
    mask = np.zeros(target.shape, dtype=bool)
    mask[3:16, 4:20, 2:19] = True
    mask[3:6, 4:8, 2:6] = False
    return image, target, mask


def test_ssim_equals_scikit_image_on_the_padded_volume(pair):
    image, target, mask = pair
    padded = [np.pad(np.where(mask, volume, 0.0), 8) for volume in (image, target)]
    _, similarity = structural_similarity(
        *padded,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    assert ssim(image, target, mask) == pytest.approx(
        similarity[np.pad(mask, 8)].mean(), abs=1e-12
    )


def test_ssim_agrees_with_monai(pair):
    image, target, mask = pair
    padded = [
        torch.from_numpy(np.pad(np.where(mask, volume, 0.0), 8))[None, None].double()
        for volume in (image, target)
    ]
    similarity, _ = compute_ssim_and_cs(
        *padded,
        spatial_dims=3,
        kernel_size=(11, 11, 11),
        kernel_sigma=(1.5, 1.5, 1.5),
        data_range=1.0,
    )
    inside = np.pad(mask, 8)[5:-5, 5:-5, 5:-5]
    expected = similarity[0, 0].numpy()[inside].mean()
    assert ssim(image, target, mask) == pytest.approx(expected, abs=1e-4)


def test_psnr_of_a_tenth_of_the_range_is_twenty_decibels(pair):
    _, target, mask = pair
    assert psnr(target + 0.1, target, mask) == pytest.approx(20.0, abs=1e-6)


def test_psnr_of_equal_volumes_is_infinite(pair):
    _, target, mask = pair
    assert psnr(target, target, mask) == math.inf


def test_mae_of_a_constant_difference_is_that_difference(pair):
    _, target, mask = pair
    assert mae(target - 0.25, target, mask) == pytest.approx(0.25, abs=1e-12)


def test_correlation_equals_numpys(pair):
    image, target, mask = pair
    expected = np.corrcoef(image[mask], target[mask])[0, 1]
    assert correlation(image, target, mask) == pytest.approx(expected, abs=1e-12)


def test_correlation_with_a_constant_volume_is_not_a_number(pair):
    _, target, mask = pair
    assert math.isnan(correlation(np.ones_like(target), target, mask))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda image, target, mask: (image[1:], target, mask), "one shape"),
        (lambda image, target, mask: (image, target, np.zeros_like(mask)), "empty"),
        (lambda image, target, mask: (image, target, mask.astype(float)), "boolean"),
        (lambda image, target, mask: (image * np.nan, target, mask), "not finite"),
    ],
)
def test_unusable_input_is_refused_with_its_reason(pair, spoil, words):
    with pytest.raises(ValueError, match=words):
        ssim(*spoil(*pair))
