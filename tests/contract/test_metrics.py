"""What every metric of the table must keep, whatever it computes."""

import inspect

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.metrics import METRICS, load_metric

PAIR_METRICS = [name for name, row in METRICS.items() if row.inputs == "image pair"]
LABEL_METRICS = [name for name, row in METRICS.items() if row.inputs == "labels"]
PROBABILITY_METRICS = [name for name, row in METRICS.items() if row.inputs == "probabilities"]


@pytest.fixture
def head():
    rng = np.random.default_rng(8)
    volume = gaussian_filter(rng.normal(size=(28, 30, 26)), 1.5) * 300 + 500
    mask = np.zeros(volume.shape, dtype=bool)
    mask[6:22, 7:23, 5:21] = True
    mask[6:12, 7:15, 5:13] = False  # not a box: background lies inside its bounding box too
    return np.where(mask, volume, 0.0).astype(np.float32), mask


def _rescaled(volume, mask):
    return percentile_scaling(volume, mask).apply(volume)


def _better(name, value, other):
    return value > other if METRICS[name].direction == "higher is better" else value < other


@pytest.mark.parametrize("name", METRICS)
def test_every_row_is_complete_and_its_function_is_documented(name):
    row = METRICS[name]
    assert all((row.unit, row.direction, row.citation, row.description))
    assert "doi" in row.citation or "https" in row.citation
    assert "Returns" in inspect.getdoc(load_metric(name))


def test_an_unknown_metric_names_those_that_exist():
    with pytest.raises(KeyError, match="Available: ssim, psnr"):
        load_metric("beauty")


@pytest.mark.parametrize("name", PAIR_METRICS)
def test_nothing_is_better_than_the_image_itself_and_degrading_makes_it_worse(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    noise = np.random.default_rng(0).normal(size=volume.shape)
    metric = load_metric(name)
    values = [metric(target + scale * noise, target, mask) for scale in (0.0, 0.02, 0.1, 0.5)]
    assert all(_better(name, values[i], values[i + 1]) for i in range(3)), values


@pytest.mark.parametrize("name", PAIR_METRICS)
def test_background_and_padding_do_not_change_the_value(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    image = gaussian_filter(target, 0.8)
    value = load_metric(name)(image, target, mask)
    outside = np.where(mask, image, 7.0)
    assert load_metric(name)(outside, target, mask) == pytest.approx(value, abs=1e-9)
    grown = [np.pad(volume, ((11, 3), (2, 9), (5, 5))) for volume in (image, target, mask)]
    assert load_metric(name)(*grown) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", PAIR_METRICS)
def test_a_voxel_inside_the_mask_does_change_the_value(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    image = gaussian_filter(target, 0.8)
    other = image.copy()
    other[12, 12, 12] += 5.0
    assert (
        abs(load_metric(name)(other, target, mask) - load_metric(name)(image, target, mask)) > 1e-4
    )


@pytest.mark.parametrize("name", PAIR_METRICS)
def test_the_order_of_the_two_images_does_not_matter(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    image = gaussian_filter(target, 0.8)
    metric = load_metric(name)
    assert metric(image, target, mask) == pytest.approx(metric(target, image, mask), abs=1e-12)


@pytest.mark.parametrize("name", PAIR_METRICS)
@pytest.mark.parametrize(
    ("slope", "offset"), [(0.01, 0.0), (3.7, 0.0), (1.0, 250.0), (2.0, -90.0)]
)
def test_any_affine_intensity_map_scores_as_the_image_itself(name, slope, offset, head):
    volume, mask = head
    target = _rescaled(gaussian_filter(volume, 0.8), mask)
    mapped = np.where(mask, slope * volume + offset, 0.0).astype(np.float32)
    metric = load_metric(name)
    plain = metric(_rescaled(volume, mask), target, mask)
    assert metric(_rescaled(mapped, mask), target, mask) == pytest.approx(
        plain, abs=1e-5, rel=1e-5
    )


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_right_answers_give_one_and_wrong_ones_zero(name):
    assert load_metric(name)(["A", "B", "B"], ["A", "B", "B"]) == 1.0
    assert load_metric(name)(["A", "B", "B"], ["B", "A", "A"]) == 0.0


@pytest.mark.parametrize("name", PROBABILITY_METRICS)
def test_certain_and_right_is_zero_and_certain_and_wrong_is_worse_than_a_guess(name):
    sites, metric = ["A", "B"], load_metric(name)
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    guess = metric(["A", "B"], np.full((2, 2), 0.5), sites)
    assert metric(["A", "B"], certain, sites) == 0.0
    assert metric(["B", "A"], certain, sites) >= guess + 0.5


@pytest.mark.parametrize("name", PROBABILITY_METRICS)
def test_the_order_of_scans_and_sites_does_not_matter(name):
    rng = np.random.default_rng(2)
    sites, metric = ["A", "B", "C"], load_metric(name)
    true, probabilities = rng.choice(sites, 40), rng.dirichlet([1, 1, 1], 40)
    value = metric(true, probabilities, sites)
    order = rng.permutation(40)
    assert metric(true[order], probabilities[order], sites) == pytest.approx(value, abs=1e-12)
    assert metric(true, probabilities[:, ::-1], sites[::-1]) == pytest.approx(value, abs=1e-12)
