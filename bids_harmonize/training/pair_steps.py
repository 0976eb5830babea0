"""Steps that pair and joint trainings share: running mean, average, learning rate, choice."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms, local_histogram_distance
from bids_harmonize.training.pair_data import PairData

RUNNING_WEIGHT: Final = 0.25  # of the current scan in the running mean of histograms
AVERAGE_DECAY: Final = 0.99
CONSTANT_SHARE: Final = 0.4  # of the iterations before the rate falls
ALARM_FACTOR: Final = 2.0
KEEP_FACTOR: Final = 1.1


def scan_histograms(
    data: PairData,
    indices: Sequence[int],
    histograms: LocalHistograms,
    *,
    device: torch.device,
    change: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Local histograms of some scans, in voxels.

    Parameters
    ----------
    data
        Where the scans are.
    indices
        At least one.
    histograms
        What measures them.
    device
        Where.
    change
        What is done to each volume before, given its head mask; ``None``: nothing.

    Returns
    -------
    Tensor
        Shape (scans, cells, bins).
    """
    found = []
    for index in indices:
        volume, mask = (as_tensor(array, device) for array in data.load(index))
        volume = volume if change is None else change(volume, mask)
        found.append(histograms.measure(volume, mask))
    return torch.stack(found)


def mean_in_order(histograms: Tensor) -> Tensor:
    """Mean over the first axis, added one by one: the same bits on every device and for cards."""
    total = torch.zeros((), device=histograms.device)
    for own in histograms:
        total = total + own
    return total / len(histograms)


def draw_to_target(
    running: Tensor, current: Tensor, wanted: Tensor | None, *, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Distance of running means of histograms; only the current scan has a gradient.

    Parameters
    ----------
    running
        Shape (2, cells, bins): of what was made, and of what was wanted.
    current, wanted
        Shape (cells, bins), of the current scan; without ``wanted`` that mean stays as it is.
    weights
        Shape (cells,), how much each cell counts.

    Returns
    -------
    tuple of Tensor
        The loss, a scalar whose gradient is as if the current scan had full weight, and the new
        running means.
    """
    made, target = running
    mean = (1 - RUNNING_WEIGHT) * made + RUNNING_WEIGHT * current
    if wanted is not None:
        target = (1 - RUNNING_WEIGHT) * target + RUNNING_WEIGHT * wanted
    distance = local_histogram_distance(mean, target, weights=weights)
    scaled = distance / RUNNING_WEIGHT
    return scaled + (distance - scaled).detach(), torch.stack([mean.detach(), target])


def backward(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, float]:
    """Take the gradients of the weighted sum of losses; returns their values before weighting."""
    if losses:  # a process may have no part in an iteration
        torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
    return {name: float(loss.detach()) for name, loss in losses.items()}


def step_at(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """One step of an optimizer at this rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()


def follow(average: nn.Module, generator: nn.Module, iteration: int) -> None:
    """Move the averaged weights a little towards the trained ones; faster at the start."""
    decay = min(AVERAGE_DECAY, (1 + iteration) / (10 + iteration))
    with torch.no_grad():
        pairs = zip(average.parameters(), generator.parameters(), strict=True)
        for averaged, weight in pairs:
            averaged.lerp_(weight, 1 - decay)


def rate_share(iteration: int, n_iterations: int) -> float:
    """Share of the starting rate: constant for 40 % of the training, then linear to 0.

    Examples
    --------
    >>> [rate_share(n, 100) for n in (0, 40, 70)]
    [1.0, 1.0, 0.5]
    """
    constant = CONSTANT_SHARE * n_iterations
    return min(1.0, (n_iterations - iteration) / (n_iterations - constant))


def is_kept(distance: float, nearest: float) -> bool:
    """Whether the weights of a check take the place of those that were kept before.

    The distance of patches is an alarm, not a ranking: among checks that it cannot tell apart the
    latest counts, for its rate is the lowest and its average the longest. The untrained start is
    no candidate: on real heads that were to become sharper it stood as near as any later check,
    and the generator that closed half of the gap would have been thrown away.

    Parameters
    ----------
    distance
        Of the monitor scans to their target at this check.
    nearest
        The least at the checks before, without the untrained start; infinite at the first.

    Returns
    -------
    bool
        False for a distance that is no number.

    Examples
    --------
    >>> is_kept(1.05, 1.0), is_kept(1.2, 1.0)
    (True, False)
    """
    return distance <= KEEP_FACTOR * min(distance, nearest)
