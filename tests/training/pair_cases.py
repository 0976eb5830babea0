"""A small pair of sites, its training, and a kill: what several tests of trainings begin with."""

import torch

from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pairs import PairRun, train_pair
from tests.harmonizers.small_study import cpu_runtime, make_finer, make_volumes

GAN = PairSettings(n_iterations=6, check_every=2, cycle_weight=2.0, adversarial_weight=0.3)


class KilledError(BaseException):
    """Stands for a kill: nothing may catch it."""


def two_sites(*, fine=False):
    """Three people of each site that train and one that watches; ``fine``: and finer scans."""
    volumes = make_volumes(4)
    return PairData(
        volumes=volumes,
        train={"source": (1, 2, 3), "reference": (5, 6, 7)},
        monitor={"source": (0,), "reference": (4,)},
        fine=make_finer(volumes) if fine else None,
    )


def train(data, settings, folder, *, resume=True, fingerprint="x", seed=0):
    run = PairRun(name="pair", folder=folder, resume=resume, fingerprint=fingerprint)
    return train_pair(data, settings, runtime=cpu_runtime(), seed=seed, sharpens=True, run=run)


def equal(first, second):
    """Whether two results hold the same bits."""
    return all(
        torch.equal(first.weights[direction][name], second.weights[direction][name])
        for direction in first.weights
        for name in first.weights[direction]
    )


def farthest(first, second):
    """The largest difference of weights that do something.

    The mean over each map is taken away behind a convolution, and its bias with it: the gradient
    is rounding alone, which Adam takes for a direction.
    """
    return max(
        float((first[name] - second[name]).abs().max())
        for name in first
        if not (name.endswith("bias") and first[name.removesuffix("bias") + "weight"].ndim == 5)
    )
