"""A short training of the classical CycleGAN on heads of two scanners."""

import numpy as np
import pytest

from bids_harmonize.training.generation import generate
from bids_harmonize.training.pair_data import DIRECTIONS, PairData, PairSettings
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.runtime import derived_seed
from tests.harmonizers.small_study import VOXEL_MM, cpu_runtime, make_head, make_volumes, scan_at

RESIDUAL = PairSettings(
    generator="residual", residual_width=4, residual_blocks=1, n_iterations=70,
    learning_rate=2.5e-3, discriminator_learning_rate=2.5e-3, histogram_weight=0.0,
    smoothness_weight=0.0, identity_weight=0.5, cycle_weight=2.0, adversarial_weight=1.0,
)  # fmt: skip


def quantile_distance(volume, other, mask):
    levels = np.linspace(0, 1, 101)
    return np.abs(np.quantile(volume[mask], levels) - np.quantile(other[mask], levels)).mean()


@pytest.mark.slow
def test_training_lowers_the_cycle_and_moves_histograms_toward_the_target():
    data = PairData(
        volumes=make_volumes(4),
        train={"source": (1, 2, 3), "reference": (5, 6, 7)},
        monitor={"source": (0,), "reference": (4,)},
    )
    seed = derived_seed(0, "cyclegan", "A")
    training = PairTraining(data, RESIDUAL, runtime=cpu_runtime(), seed=seed, sharpens=False)
    before = training.state["history"][0]
    losses = [training.step(number) for number in range(50)]
    cycles = [loss["cycle"] for loss in losses]
    assert np.mean(cycles[10:30]) < 0.5 * np.mean(cycles[:10])
    after = training.check(50)
    tissue, head, brain = make_head(70)
    scans = {side: scan_at(tissue, site) for side, site in (("source", "A"), ("reference", "B"))}
    scans = {s: np.float32(v / np.percentile(v[brain], 99) * head) for s, v in scans.items()}
    for direction, (origin, side) in DIRECTIONS.items():
        made = generate(
            training.averages[direction], scans[origin], head_mask=head, voxel_size_mm=VOXEL_MM
        )
        found = quantile_distance(made, scans[side], head)
        assert after[f"distance_{direction}"] < 0.75 * before[f"distance_{direction}"]
        assert found < 0.75 * quantile_distance(scans[origin], scans[side], head)
