"""What every metric of the table must keep, whatever it computes.

A new row of the table fails here until its optimum stands below, and a new kind of input until
there is a way to spoil it.
"""

import inspect
import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.metrics import METRICS, load_metric
from bids_harmonize.metrics.sharpness import gradient_level

PAIR_METRICS = [name for name, row in METRICS.items() if row.inputs == "image pair"]
IMAGE_METRICS = [name for name, row in METRICS.items() if row.inputs.startswith("image")]
LABEL_METRICS = [name for name, row in METRICS.items() if row.inputs == "labels"]
PROBABILITY_METRICS = [name for name, row in METRICS.items() if row.inputs == "probabilities"]
SAMPLE_METRICS = [name for name, row in METRICS.items() if row.inputs == "feature samples"]

# What a harmonizer that leaves nothing to wish for is given, and how near it the ladder starts.
OPTIMUM = {
    "ssim": (1.0, 1e-12),
    "psnr": (math.inf, 0.0),
    "mae": (0.0, 0.0),
    "correlation": (1.0, 1e-12),
    "sharpness": (1.0, 1e-12),
    "accuracy": (0.5, 0.0),  # chance of two sites of equal size
    "balanced_accuracy": (0.5, 0.0),
    "calibration_error": (0.0, 0.0),
    "brier": (0.0, 0.0),
    "mmd": (0.0, 0.02),
}
STEPS = (0.0, 0.25, 0.5, 1.0)  # how far from the optimum, 0..1
SPOILERS = {
    "noise": lambda volume, step: volume + 0.3 * step * _noise(volume.shape),
    "blur": lambda volume, step: gaussian_filter(volume, 1.5 * step),
    "shading": lambda volume, step: volume * (1 + 0.5 * step * _ramp(volume.shape)),
    "curve": lambda volume, step: np.clip(volume, 0, None) ** (1 + step),
    "movement": lambda volume, step: shift(volume, (1.5 * step, 0, 0), order=1, mode="nearest"),
}


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
    if METRICS[name].direction == "1 is best":
        return abs(math.log(value)) < abs(math.log(other))
    return value > other if METRICS[name].direction == "higher is better" else value < other


def _noise(shape):
    return np.random.default_rng(0).normal(size=shape)


def _ramp(shape):
    return np.linspace(-1, 1, shape[0])[:, None, None]


def _call_on_images(name, image, target, mask):
    """The value of either sort of image metric; the level is that of the target."""
    if METRICS[name].inputs == "image pair":
        return load_metric(name)(image, target, mask)
    return load_metric(name)(image, mask, gradient_level(target, mask))


def _image_ladder(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    # A shift, shading or curve need not change what is measured without a second image.
    alone = METRICS[name].inputs != "image pair"
    for spoil in [SPOILERS[key] for key in (("noise", "blur") if alone else SPOILERS)]:
        yield [
            _call_on_images(name, target if step == 0 else spoil(target, step), target, mask)
            for step in STEPS
        ]


def _label_ladder(name, head):
    """From one answer for everybody, which tells nothing of the site, to all answers right."""
    true = ["A"] * 20 + ["B"] * 20
    yield [load_metric(name)(true, ["A"] * (40 - n) + ["B"] * n) for n in (0, 5, 10, 20)]


def _probability_ladder(name, head):
    """Certain and right, then certain and wrong about more and more of them."""
    true, sites = ["A"] * 20, ["A", "B"]
    certain = [np.eye(2)[[1] * int(20 * step) + [0] * int(20 - 20 * step)] for step in STEPS]
    yield [load_metric(name)(true, probabilities, sites) for probabilities in certain]


def _sample_ladder(name, head):
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(80, 6)), rng.normal(size=(80, 6))
    yield [load_metric(name)(first, second + 2 * step) for step in STEPS]


LADDERS = {
    "image pair": _image_ladder,
    "image and reference level": _image_ladder,
    "labels": _label_ladder,
    "probabilities": _probability_ladder,
    "feature samples": _sample_ladder,
}


@pytest.mark.parametrize("name", METRICS)
def test_every_row_is_complete_and_its_function_is_documented(name):
    row = METRICS[name]
    assert all((row.unit, row.direction, row.citation, row.description))
    assert "doi" in row.citation or "https" in row.citation
    assert "Returns" in inspect.getdoc(load_metric(name))


def test_an_unknown_metric_names_those_that_exist():
    with pytest.raises(KeyError, match="Available: ssim, psnr"):
        load_metric("beauty")


@pytest.mark.parametrize("name", METRICS)
def test_nothing_is_better_than_identity_and_each_step_away_is_worse(name, head):
    best, tolerance = OPTIMUM[name]
    for values in LADDERS[METRICS[name].inputs](name, head):
        assert values[0] == pytest.approx(best, abs=tolerance, rel=0)
        assert all(_better(name, values[i], values[i + 1]) for i in range(3)), values


@pytest.mark.parametrize("edge", [0, 3])
@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_background_and_padding_do_not_change_the_value(name, edge, head):
    # With edge 0 the mask touches the border of the volume.
    volume, mask = (array[6 - edge :, 7 - edge :, 5 - edge :] for array in head)
    target = _rescaled(volume, mask)
    image = gaussian_filter(target, 0.8)
    value = _call_on_images(name, image, target, mask)
    for background in (7.0, -1e6, np.nan):
        images = [np.where(mask, one, background) for one in (image, target)]
        assert _call_on_images(name, *images, mask) == pytest.approx(value, abs=1e-9)
    grown = [np.pad(array, ((11, 3), (2, 9), (5, 5))) for array in (image, target, mask)]
    assert _call_on_images(name, *grown) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_a_voxel_inside_the_mask_does_change_the_value(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    image = gaussian_filter(target, 0.8)
    other = image.copy()
    other[17, 15, 13] += 5.0
    values = [_call_on_images(name, one, target, mask) for one in (other, image)]
    assert abs(values[0] - values[1]) > 1e-4


@pytest.mark.parametrize("name", PAIR_METRICS)
def test_the_order_of_the_two_images_does_not_matter(name, head):
    volume, mask = head
    target = _rescaled(volume, mask)
    image = gaussian_filter(target, 0.8)
    metric = load_metric(name)
    assert metric(image, target, mask) == pytest.approx(metric(target, image, mask), abs=1e-12)


@pytest.mark.parametrize("name", SAMPLE_METRICS)
def test_the_order_of_the_two_samples_does_not_matter(name):
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(9, 4)), rng.normal(size=(7, 4)) + 0.5
    metric = load_metric(name)
    assert metric(first, second) == pytest.approx(metric(second, first), abs=1e-12)


@pytest.mark.parametrize("name", SAMPLE_METRICS)
def test_units_of_the_features_and_one_that_tells_nothing_do_not_matter(name):
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(9, 4)), rng.normal(size=(7, 4)) + 0.5
    value = load_metric(name)(first, second)
    other = [np.pad(40 * sample - 3, ((0, 0), (0, 1))) for sample in (first, second)]
    assert load_metric(name)(*other) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", IMAGE_METRICS)
@pytest.mark.parametrize(
    ("slope", "offset"), [(0.01, 0.0), (3.7, 0.0), (1.0, 250.0), (2.0, -90.0)]
)
def test_any_affine_intensity_map_scores_as_the_image_itself(name, slope, offset, head):
    volume, mask = head
    target = _rescaled(gaussian_filter(volume, 0.8), mask)
    mapped = np.where(mask, slope * volume + offset, 0.0).astype(np.float32)
    plain, other = (
        _call_on_images(name, _rescaled(one, mask), target, mask) for one in (volume, mapped)
    )
    assert other == pytest.approx(plain, abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_the_order_of_scans_and_the_names_of_sites_do_not_matter(name):
    rng = np.random.default_rng(2)
    true, predicted = rng.choice(["A", "B", "C"], (2, 40))
    value = load_metric(name)(true, predicted)
    order = rng.permutation(40)
    assert load_metric(name)(true[order], predicted[order]) == pytest.approx(value, abs=1e-12)
    renamed = [np.char.replace(labels, "A", "Z") for labels in (true, predicted)]
    assert load_metric(name)(*renamed) == pytest.approx(value, abs=1e-12)


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
