"""Losses in random boxes of fine scans: each is, on average over all boxes, that of the whole."""

from itertools import product

import numpy as np
import pytest
import torch

from bids_harmonize.networks.bilateral_generator import BilateralGenerator
from bids_harmonize.networks.residual_generator import ResidualGenerator
from bids_harmonize.networks.separable import Window
from bids_harmonize.training.joint import train_joint
from bids_harmonize.training.losses import (
    LocalHistograms,
    local_histogram_distance,
    mean_difference,
)
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.pairs import PairRun
from bids_harmonize.training.sight import Seen, WholeVolumes
from bids_harmonize.training.sub_boxes import BOX_CELLS, MARGIN_VOXELS, SubBox, make_sight
from bids_harmonize.training.targets import make_target
from tests.harmonizers.small_study import cpu_runtime, make_finer, make_volumes
from tests.training.pair_cases import GAN, KilledError, equal, train, two_sites

PLAIN = PairSettings(n_iterations=40, check_every=20, learning_rate=2e-3)
FINE_MM = 4.0


@pytest.fixture(scope="module")
def data():
    return two_sites(fine=True)


@pytest.fixture(scope="module")
def boxes(data):
    histograms = LocalHistograms(
        data.fine.shape, voxel_size_mm=FINE_MM, device=torch.device("cpu")
    )
    return make_sight(data, histograms, runtime=cpu_runtime(), seed=0)


def all_boxes(boxes):
    places = (range(n - BOX_CELLS + 1) for n in boxes.histograms.cells)
    return [SubBox(boxes, first) for first in product(*places)]


def seen_whole(boxes, side="source", number=0):
    """The scan of a draw on the fine grid, unshifted, and its coarse copy."""
    index, _ = boxes.data.choose(side, number, seed=0)
    fine, coarse = boxes.fine, boxes.data.volumes
    arrays = (
        fine.volume(index), fine.head_mask(index), coarse.volume(index), coarse.head_mask(index),
    )  # fmt: skip
    return [torch.from_numpy(np.float32(array))[None, None] for array in arrays]


def seen_in(box, whole):
    volume, mask, coarse, coarse_mask = whole
    return Seen(box.window.cut(volume), box.window.cut(mask), coarse, coarse_mask)


def sharpening_generator(seed):
    torch.manual_seed(seed)
    generator = BilateralGenerator(voxel_size_mm=8.0, sharpened_mm=FINE_MM)
    torch.nn.init.normal_(generator.head.weight, std=0.05)
    torch.nn.init.constant_(generator.sharpening, 0.2)
    return generator.requires_grad_(False)


def test_a_window_is_the_volume_inside_of_it_and_zero_outside():
    volume = torch.arange(1.0, 4 * 5 * 6 + 1).reshape(1, 4, 5, 6)
    window = Window((4, 5, 6), (-2, 3, 1), (4, 4, 3))
    padded = torch.nn.functional.pad(volume, (0, 0, 0, 2, 2, 0))  # two before I, two after J
    assert torch.equal(window.cut(volume), padded[:, 0:4, 3:7, 1:4])
    i, j, k = window.places()
    assert (i.tolist(), j.tolist(), k.tolist()) == ([0, 0, 0, 1], [3, 4, 4, 4], [1, 2, 3])


def test_a_window_beside_the_volume_is_empty():
    window = Window((4, 5, 6), (7, 0, -9), (2, 5, 3))
    assert window.cut(torch.ones(4, 5, 6)).sum() == 0


def test_the_boxes_cover_all_cells_and_differ_between_iterations(boxes):
    seen = torch.cat([boxes.at(iteration).cells for iteration in range(300)])
    assert sorted(set(seen.tolist())) == list(range(4 * 5 * 4))
    assert all(len(boxes.at(iteration).cells) == 8 for iteration in range(5))
    assert torch.equal(boxes.at(3).cells, boxes.at(3).cells)


def test_the_mean_of_all_boxes_is_the_mean_of_the_whole(boxes):
    first, second = seen_whole(boxes), seen_whole(boxes, "reference")
    found = [
        box.difference(seen_in(box, first), seen_in(box, second)).item()
        for box in all_boxes(boxes)
    ]
    expected = mean_difference(first[0], second[0]).item()
    assert np.mean(found) == pytest.approx(expected, rel=1e-5)
    assert np.std(found) > 0.05 * expected


@pytest.mark.parametrize("splits", [False, True])
def test_the_histograms_of_a_box_are_those_of_its_cells_in_the_whole(data, boxes, splits):
    """And their distances are, on average over all boxes, the distance of all cells."""
    places = data.train["source"], data.train["reference"]
    device = torch.device("cpu")
    target, _ = make_target(data, places, boxes.histograms, device=device, splits=splits)
    volume, mask, *_ = whole = seen_whole(boxes)
    found = boxes.histograms.measure(volume, mask)
    wanted = target.mean
    if splits:
        wanted = target.of_scan(boxes.histograms.measure(target.curve.apply(volume, mask), mask))
    running = torch.stack([found, wanted])  # the current scan is the running mean
    zeros, losses = torch.zeros_like(running), []
    for box in all_boxes(boxes):
        scan = seen_in(box, whole)
        loss, moved = box.histogram_loss(running, scan, scan, target)
        assert torch.allclose(moved, running, atol=1e-2)
        losses.append(loss.item())
        _, moved = box.histogram_loss(zeros, scan, scan, target)
        there = torch.zeros(len(found), dtype=torch.bool)
        there[box.cells] = True
        assert torch.equal(moved[:, ~there], zeros[:, ~there])
        assert torch.allclose(moved[0, there], 0.25 * found[there], atol=1e-2)
        expected = 0.25 * wanted[there] if splits else zeros[1, there]
        assert torch.allclose(moved[1, there], expected, atol=1e-2)
    expected = local_histogram_distance(found, wanted, weights=target.weights).item()
    assert np.mean(losses) == pytest.approx(expected, rel=1e-4)
    assert target.weights.sum() == pytest.approx(1)


def test_two_generators_give_in_a_box_what_they_give_in_the_whole(boxes):
    """Sharpening looks over the border of the box, twice; the margin is wide enough for that."""
    there, back = sharpening_generator(0), sharpening_generator(1)
    volume, mask, coarse, coarse_mask = seen_whole(boxes)
    grid = there.predict_grid(coarse, coarse_mask)
    once = there.apply_grid(volume, mask, grid, voxel_size_mm=FINE_MM)
    coarse_once = there.apply_grid(coarse, coarse_mask, grid, voxel_size_mm=8.0)
    grid = back.predict_grid(coarse_once, coarse_mask)
    twice = back.apply_grid(once, mask, grid, voxel_size_mm=FINE_MM)
    assert (twice - once).abs().max() > 0.02
    for box in all_boxes(boxes)[::7]:
        made, _ = box.generate(there, seen_in(box, seen_whole(boxes)), goes_on=True)
        again, _ = box.generate(back, made)
        inside = (slice(None), slice(None), *(slice(MARGIN_VOXELS, -MARGIN_VOXELS),) * 3)
        for found, expected in ((made, once), (again, twice)):
            difference = found.volume - box.window.cut(expected)
            assert difference[inside].abs().max() < 1e-5
        assert box.patches(again).shape[2:] == tuple(
            n - 2 * MARGIN_VOXELS for n in box.window.shape
        )


def test_the_fine_box_is_shifted_like_its_coarse_copy(data, boxes):
    """The mean of the eight fine voxels of a coarse one is that voxel, wherever the scan moved."""
    box = boxes.at(1)
    shifts = []
    for number in range(4):
        index, change = data.choose("source", number, seed=0)
        shifts.append(change.shift_voxels)
        unit = data.fine.scaling(index).high / data.volumes.scaling(index).high
        scan = box.draw("source", number)
        start = [first + MARGIN_VOXELS for first in box.window.start]
        fine = torch.nn.functional.avg_pool3d(box.patches(scan), 2) * unit
        i, j, k = (slice(a // 2, a // 2 + n) for a, n in zip(start, fine.shape[2:], strict=True))
        assert (fine - scan.coarse[:, :, i, j, k]).abs().max() < 1e-5
        assert fine.max() > 0.3
    assert any(any(shift) for shift in shifts)


def test_a_residual_generator_cannot_see_boxes(boxes):
    generator = ResidualGenerator(voxel_size_mm=8.0, width=2, n_blocks=1)
    with pytest.raises(TypeError, match="ResidualGenerator cannot be applied to a part"):
        boxes.at(0).generate(generator, boxes.at(0).draw("source", 0))


def test_without_fine_scans_the_whole_is_seen(data):
    plain = PairData(data.volumes, data.train, data.monitor)
    histograms = LocalHistograms(plain.seen.shape, voxel_size_mm=8.0, device=torch.device("cpu"))
    assert isinstance(make_sight(plain, histograms, runtime=cpu_runtime(), seed=0), WholeVolumes)


def test_a_training_on_boxes_draws_the_source_to_the_reference(data, tmp_path):
    result = train(data, PLAIN, tmp_path)
    distances = [row["distance_to_reference"] for row in result.rows]
    assert not result.diverged
    assert distances[-1] < 0.5 * distances[0]
    assert result.weights["to_reference"]["sharpening"].abs().max() > 1e-3


def test_a_killed_training_on_boxes_goes_on_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = train(data, GAN, tmp_path / "whole")
    step = PairTraining.step

    def killing_step(self, number):
        if number == 3:
            raise KilledError
        return step(self, number)

    monkeypatch.setattr(PairTraining, "step", killing_step)
    with pytest.raises(KilledError):
        train(data, GAN, tmp_path / "killed")
    monkeypatch.setattr(PairTraining, "step", step)
    resumed = train(data, GAN, tmp_path / "killed")
    assert equal(whole, resumed)
    assert whole.rows == resumed.rows


def test_many_sites_train_on_boxes_too(tmp_path):
    volumes = make_volumes(3, "ABC")
    data = PairData(
        volumes,
        {"A": (1, 2), "B": (4, 5), "C": (7, 8)},
        {"A": (0,), "B": (3,), "C": (6,)},
        fine=make_finer(volumes),
    )
    settings = PairSettings(n_iterations=8, check_every=4, cycle_weight=2, adversarial_weight=0.3)
    run = PairRun(name="joint", folder=tmp_path, resume=True, fingerprint="x")
    result = train_joint(
        data, settings, reference="B", runtime=cpu_runtime(), seed=0, sharpens=True, run=run
    )
    start, end = result.rows[0], result.rows[-2]
    assert start["source_site"] == end["source_site"] == "A"
    assert end["distance_to_reference"] < start["distance_to_reference"]
    assert np.isfinite(end["cycle"])
    assert result.weights["sharpening"].abs().max() > 0
