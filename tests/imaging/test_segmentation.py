"""Tissue shares of a made-up ball of fluid, grey and white matter, whose shares are known."""

import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.segmentation import segment
from bids_harmonize.imaging.tissue_classes import TissueClasses

MEANS = (0.2, 0.65, 1.0)
RADII_MM = (24.0, 58.0, 64.0, 70.0)  # ventricle, white matter, grey matter, fluid
VOXEL_MM = np.array([2.0, 2.0, 2.0])


def make_ball():
    """True shares (3, I, J, K) and mask: shells with 2 mm soft borders, the cortex folded."""
    half = 37
    index = np.indices((2 * half + 1,) * 3) - half
    x, y, z = 2.0 * index
    radius = np.sqrt(x * x + y * y + z * z)
    folds = 4.0 * np.sin(x / 6) * np.sin(y / 6) * np.sin(z / 6)
    inside = [np.clip(0.5 + (r - radius) / 2, 0, 1) for r in RADII_MM]
    for n in (1, 2):
        inside[n] = np.clip(0.5 + (RADII_MM[n] + folds - radius) / 2, 0, 1)
    fluid = inside[0] + inside[3] - inside[2]
    shares = np.stack([fluid, inside[2] - inside[1], inside[1] - inside[0]])
    mask = radius <= RADII_MM[3] - 1
    return (shares * mask).astype(np.float32), mask


@pytest.fixture(scope="module")
def ball():
    return make_ball()


def scan_of(shares, mask, *, noise=0.02, bias=0.0, scale=1.0, seed=0):
    """Intensities of the shares with noise and a field of half range ``bias`` (logarithm)."""
    rng = np.random.default_rng(seed)
    clean = np.tensordot(np.array(MEANS, np.float32), shares, axes=1)
    x = np.linspace(-1, 1, mask.shape[0])
    field = np.exp(bias * (0.6 * x[:, None, None] - 0.4 * x[None, :, None] ** 2))
    noisy = clean * field + noise * rng.standard_normal(mask.shape)
    volume = np.where(mask, scale * np.maximum(noisy, 0), 0).astype(np.float32)
    return volume, np.broadcast_to(field, mask.shape)


def blurred_priors(shares, mask):
    return np.stack([ndimage.gaussian_filter(share, 2.0)[mask] for share in shares])


def errors(found, shares, mask):
    """Mean absolute error of the shares, and relative error of each volume."""
    truth = shares[:, mask]
    volume = found.shares.sum(axis=1) / truth.sum(axis=1) - 1
    return float(np.abs(found.shares - truth).mean()), volume


def test_shares_and_volumes_are_found(ball):
    shares, mask = ball
    volume, _ = scan_of(shares, mask)
    found = segment(volume, mask, blurred_priors(shares, mask), VOXEL_MM)
    error, bias = errors(found, shares, mask)
    assert error < 0.03
    np.testing.assert_allclose(bias, 0, atol=0.05)
    np.testing.assert_allclose(found.classes.means, MEANS, atol=0.02)
    assert found.shares.min() >= 0
    assert found.shares.sum(axis=0).max() < 1 + 1e-5
    assert found.shares.dtype == np.float32


def test_a_bias_field_is_found_and_taken_out(ball):
    shares, mask = ball
    volume, field = scan_of(shares, mask, bias=0.35)
    found = segment(volume, mask, blurred_priors(shares, mask), VOXEL_MM)
    error, bias = errors(found, shares, mask)
    assert error < 0.035
    np.testing.assert_allclose(bias, 0, atol=0.06)
    true = np.log(field[mask])
    assert np.corrcoef(found.log_bias, true)[0, 1] > 0.97
    assert (found.log_bias - (true - true.mean())).std() < 0.02
    assert abs(float(found.log_bias.mean())) < 1e-4


def test_noise_costs_little(ball):
    shares, mask = ball
    volume, _ = scan_of(shares, mask, noise=0.06)
    found = segment(volume, mask, blurred_priors(shares, mask), VOXEL_MM)
    error, bias = errors(found, shares, mask)
    assert error < 0.06
    np.testing.assert_allclose(bias, 0, atol=0.08)


def test_the_scale_of_the_intensities_does_not_matter(ball):
    shares, mask = ball
    priors = blurred_priors(shares, mask)
    one = segment(scan_of(shares, mask)[0], mask, priors, VOXEL_MM)
    large = segment(scan_of(shares, mask, scale=3700.0)[0], mask, priors, VOXEL_MM)
    np.testing.assert_allclose(large.shares, one.shares, atol=0.01)
    np.testing.assert_allclose(large.classes.means, 3700 * one.classes.means, rtol=1e-3)


def test_priors_decide_where_intensity_cannot(ball):
    """Deep grey matter as bright as the middle between grey and white is grey where expected."""
    shares, mask = ball
    volume, _ = scan_of(shares, mask)
    spot = np.zeros(mask.shape, bool)
    spot[55:61, 34:40, 34:40] = True  # in the white matter
    volume[spot] = 0.8
    priors = blurred_priors(shares, mask)
    inner = spot[mask]
    plain = segment(volume, mask, priors, VOXEL_MM).shares[1, inner].mean()
    priors[:, inner] = np.array([[0.0], [0.95], [0.05]])
    told = segment(volume, mask, priors, VOXEL_MM).shares[1, inner].mean()
    assert plain < told - 0.1
    assert told > 0.5


def test_a_flipped_volume_gives_flipped_shares(ball):
    shares, mask = ball
    mask = mask.copy()
    mask[:20, :30] = False  # no symmetry of the ball may help
    volume, _ = scan_of(shares, mask, bias=0.2)
    flip = (slice(None, None, -1), slice(None), slice(None, None, -1))
    one, other = (np.zeros((3, *mask.shape), np.float32) for _ in range(2))
    size = np.array([1.2, 1.2, 1.2])  # fine enough for the sparse lattice
    one[:, mask] = segment(volume, mask, blurred_priors(shares, mask), size).shares
    turned = [np.ascontiguousarray(array[flip]) for array in (volume, mask)]
    priors = blurred_priors([share[flip] for share in shares], turned[1])
    other[:, turned[1]] = segment(*turned, priors, size).shares
    np.testing.assert_allclose(np.stack([part[flip] for part in other]), one, atol=2e-3)


def test_equal_input_gives_equal_bits(ball):
    shares, mask = ball
    volume, _ = scan_of(shares, mask, bias=0.2)
    priors = blurred_priors(shares, mask)
    first = segment(volume, mask, priors, VOXEL_MM)
    np.testing.assert_array_equal(segment(volume, mask, priors, VOXEL_MM).shares, first.shares)


def test_dark_bone_and_bright_vessels_at_the_edge_are_no_tissue(ball):
    shares, mask = ball
    volume, _ = scan_of(shares, mask)
    edge = mask & ~ndimage.binary_erosion(mask)
    half = edge & (np.indices(mask.shape)[0] > 37)
    dark = np.where(half, 0.01, volume).astype(np.float32)
    priors = blurred_priors(shares, mask)
    priors /= priors.sum(axis=0)
    found = segment(dark, mask, priors, VOXEL_MM).shares[:, half[mask]]
    assert found.sum(axis=0).mean() < 0.75
    bright = np.where(half, 1.6, volume).astype(np.float32)
    found = segment(bright, mask, priors, VOXEL_MM).shares[:, half[mask]]
    assert found.sum(axis=0).mean() < 0.6


def test_a_mixture_is_split_by_its_intensity():
    classes = TissueClasses(np.array(MEANS), np.array([0.01, 0.01, 0.01]))
    tables = classes.tables()
    values = np.array([0.2, 0.425, 0.65, 0.825, 1.0], np.float32)
    bins = tables.bins(values)
    priors = np.array(
        [[0.5, 0.5, 0.0, 0.0, 0.0], [0.5, 0.5, 1.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.5, 0.5]],
        np.float32,
    )
    prior = classes.prior(priors, np.zeros(5, np.float32))
    shares = tables.shares(bins, tables.posterior(bins, prior))
    np.testing.assert_allclose(shares[1], [0.0, 0.5, 1.0, 0.5, 0.0], atol=0.02)
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    density = tables.density[3] / tables.bins_per_unit
    assert density.sum() == pytest.approx(1.0, abs=0.01)


def test_a_mask_of_few_voxels_is_a_scan_error(ball):
    shares, mask = ball
    few = np.zeros(mask.shape, bool)
    few[30:35, 30:35, 30:35] = True
    with pytest.raises(ScanError, match="holds 125 voxels, expected at least 1000"):
        segment(shares[1], few, blurred_priors(shares, few), VOXEL_MM)


def test_a_constant_brain_is_a_scan_error(ball):
    shares, mask = ball
    flat = mask.astype(np.float32)
    with pytest.raises(ScanError, match="cannot be told apart"):
        segment(flat, mask, blurred_priors(shares, mask), VOXEL_MM)
