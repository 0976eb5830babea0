"""Targets of local histograms: a tone curve is the scanner's, people's differences are not."""

import numpy as np
import pytest
import torch

from bids_harmonize.training.losses import INTENSITY_BINS, LocalHistograms, cell_weights
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.targets import Target, ToneCurve, make_target
from tests.harmonizers.small_study import (
    VOXEL_MM,
    ArrayVolumes,
    cpu_runtime,
    make_head,
    make_volumes,
    scan_at,
)

CPU = torch.device("cpu")
FIELD = np.linspace(0.75, 1.2, 24, dtype=np.float32)[:, None, None]


def measure_of(volumes):
    return LocalHistograms(volumes.shape, voxel_size_mm=VOXEL_MM, device=CPU)


def two_sites(scanner, n_per_site=12, stretch=0.0):
    """Heads at B, and others in a scanner of ours; ``stretch`` makes people differ."""
    volumes = make_volumes(n_per_site)
    native = list(volumes.native)
    for person in range(2 * n_per_site):
        tissue = make_head(person)[0]
        own = np.random.default_rng(person).normal(0, stretch)
        tissue = tissue * (1 + own * np.linspace(-1, 1, 28, dtype=np.float32)[None, :, None])
        native[person] = scan_at(tissue, "B") if person >= n_per_site else scanner(tissue)
    other = ArrayVolumes(volumes.scans, native, volumes.heads, volumes.brains)
    places = {
        "source": tuple(range(n_per_site)),
        "reference": tuple(range(n_per_site, 2 * n_per_site)),
    }
    return PairData(other, places, places)


def target_of(data, **changes):
    places = data.train["source"], data.train["reference"]
    options = {"device": CPU, "splits": True, **changes}
    return make_target(data, places, measure_of(data.volumes), **options)


def test_a_curve_moves_percentiles_and_holds_the_ends():
    curve = ToneCurve(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.1, 0.2, 0.8]))
    values = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 3.0]).reshape(1, 1, 1, 1, 6)
    found = curve.apply(values, torch.ones_like(values)).flatten()
    assert found.tolist() == pytest.approx([0.1, 0.15, 0.2, 0.5, 0.8, 0.8])
    tied = ToneCurve(torch.tensor([0.0, 0.0, 0.5, 0.5, 1.0]), torch.linspace(0, 1, 5))
    found = tied.apply(values, torch.ones_like(values)).flatten()
    assert found.tolist() == pytest.approx([0.0, 0.375, 0.5, 0.875, 1.0, 1.0])
    mask = torch.zeros_like(values)
    assert curve.apply(values, mask).abs().sum() == 0


def test_where_a_tone_curve_is_all_that_differs_people_explain_the_cells():
    tone = target_of(two_sites(lambda tissue: 700 * tissue**0.6, stretch=0.2))[0].shares
    coil = target_of(two_sites(lambda tissue: 700 * tissue**0.6 * FIELD, stretch=0.2))[0].shares
    assert max(tone) < 0.4
    assert coil[0] > 0.85
    assert coil[0] > tone[0] + 0.5


def test_the_target_of_a_scan_lies_between_its_matched_histogram_and_the_mean():
    mean = torch.rand(3, 40) * 100
    matched = torch.rand(3, 40) * 50
    matched[2] = 0  # a cell that the scan does not reach
    curve = ToneCurve(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    intensity, gradient = slice(0, INTENSITY_BINS), slice(INTENSITY_BINS, None)
    found = Target(mean, curve, (0.0, 1.0)).of_scan(matched)
    own, all_of_it = matched[:2, intensity].sum(dim=1), mean[:2, intensity].sum(dim=1)
    expected = matched[:2, intensity] / own[:, None] * all_of_it[:, None]
    assert torch.allclose(found[:2, intensity], expected, rtol=1e-5)
    assert torch.equal(found[:, gradient], mean[:, gradient])
    assert torch.equal(found[2], mean[2])
    half = Target(mean, curve, (0.5, 0.5)).of_scan(matched)
    assert torch.allclose(half[:2, intensity], (expected + mean[:2, intensity]) / 2, rtol=1e-5)
    assert torch.allclose(half.sum(dim=1), mean.sum(dim=1), rtol=1e-5)


def test_one_person_of_a_site_leaves_the_mean():
    data = two_sites(lambda tissue: 700 * tissue**0.6)
    alone = PairData(data.volumes, {**data.train, "source": (0,)}, data.monitor)
    target, running = target_of(alone)
    assert target.shares == (1.0, 1.0)
    assert torch.allclose(running[1], target.mean, rtol=1e-6)


def test_a_person_who_came_twice_is_one_witness():
    """The share is that of one scan a person, not of twice as many people."""
    data = two_sites(lambda tissue: 700 * tissue**0.6, n_per_site=6, stretch=0.2)
    once = target_of(data)[0].shares
    twice = PairData(data.volumes, {k: v * 2 for k, v in data.train.items()}, data.monitor)
    assert target_of(twice)[0].shares == pytest.approx(once, abs=1e-4)


def test_without_splitting_the_target_is_the_plain_mean():
    data = two_sites(lambda tissue: 700 * tissue**0.6)
    target, running = target_of(data, splits=False)
    people = [
        measure_of(data.volumes).measure(
            *(torch.from_numpy(np.float32(array))[None, None] for array in data.load(index))
        )
        for index in data.train["reference"]
    ]
    assert torch.allclose(target.mean, torch.stack(people).mean(dim=0), rtol=1e-6)
    assert torch.equal(running[1], target.mean)
    assert target.curve is None
    assert target.weights.sum() == pytest.approx(1)
    assert torch.equal(target.weights, cell_weights(target.mean))


def error_after_training(data, *, splits):
    """Mean error in the brain of a scan at the reference, as a share of that before."""
    settings = PairSettings(
        n_iterations=60, check_every=60, learning_rate=2e-3, splits_differences=splits
    )
    training = PairTraining(data, settings, runtime=cpu_runtime(), seed=0, sharpens=False)
    for iteration in range(60):
        training.step(iteration)
    tissue, head, brain = make_head(60)
    seen, truth = (
        np.where(head, scan / np.percentile(scan[brain], 99), 0).astype(np.float32)
        for scan in (700 * tissue**0.6, scan_at(tissue, "B"))
    )
    volume, mask = (torch.from_numpy(np.float32(array))[None, None] for array in (seen, head))
    with torch.no_grad():
        made = training.averages["to_reference"](volume, mask)[0][0, 0].numpy()
    before, after = (np.abs(image - truth)[brain].mean() for image in (seen, made))
    return after / before


def test_a_tone_curve_alone_is_learnt_as_one():
    """Six people a site who differ along an axis: the plain means would be taken for a coil."""
    data = two_sites(lambda tissue: 700 * tissue**0.6, n_per_site=6, stretch=0.15)
    split, plain = (error_after_training(data, splits=splits) for splits in (True, False))
    assert split < 0.15
    assert split < 0.6 * plain
