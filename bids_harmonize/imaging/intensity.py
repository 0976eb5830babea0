"""Linear intensity scalings that can be undone."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.types import Array, Mask, Volume

N_BINS: Final = 64
_BINS_TOP = 1.5  # rescaled units


@dataclass(frozen=True)
class Scaling:
    """Linear map of the intensities ``low..high`` to ``0..1``; nothing is clipped.

    Parameters
    ----------
    low, high
        Native intensities that become 0 and 1; ``high`` must be greater than ``low``.

    Raises
    ------
    ScanError
        If the range is empty or not finite.

    Examples
    --------
    >>> Scaling(low=0.0, high=200.0).apply(np.float32([50.0])).tolist()
    [0.25]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.high > self.low):
            message = (
                f"intensities cannot be scaled: found the range {self.low} to {self.high},"
                " expected a low end below a high end; is the image constant inside its mask?"
            )
            raise ScanError(message)

    def apply(self, volume: Array) -> Volume:
        """Rescaled volume, float32, of the same shape."""
        return ((volume - np.float32(self.low)) / np.float32(self.high - self.low)).astype(
            np.float32
        )

    def undo(self, volume: Array) -> Volume:
        """Volume in native intensities, float32, from a rescaled one."""
        return (volume * np.float32(self.high - self.low) + np.float32(self.low)).astype(
            np.float32
        )


def histogram_shares(values: Array) -> Array:
    """Share of rescaled intensities in each of 64 bins from 0 to 1.5.

    Parameters
    ----------
    values
        Any shape, rescaled units (white matter lies at about 1); what lies beyond counts in the
        first or the last bin.

    Returns
    -------
    np.ndarray
        Float64, shape (64,), sums to 1; all 0 without values.
    """
    counts, _ = np.histogram(values.clip(0, _BINS_TOP), bins=N_BINS, range=(0, _BINS_TOP))
    shares: Array = counts / max(values.size, 1)
    return shares


def p99_scaling(volume: Array, mask: Mask) -> Scaling:
    """The scaling that models see: 0 stays 0, the 99th percentile in the mask becomes 1.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), native intensities.
    mask
        Boolean array of the same shape: the scaling mask.

    Returns
    -------
    Scaling
        ``low`` is 0.

    Raises
    ------
    ScanError
        If the mask is empty or the 99th percentile is not positive.
    """
    return Scaling(low=0.0, high=_percentiles(volume, mask, (99.0,))[0])


def percentile_scaling(
    volume: Array, mask: Mask, *, lower: float = 1.0, upper: float = 99.0
) -> Scaling:
    """The scaling that metrics use: two percentiles in the mask become 0 and 1.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), any intensities.
    mask
        Boolean array of the same shape.
    lower, upper
        Percentiles, 0 to 100.

    Returns
    -------
    Scaling
        An affine change of the input's intensities leaves the rescaled volume as it is.

    Raises
    ------
    ScanError
        If the mask is empty or both percentiles are equal.
    """
    low, high = _percentiles(volume, mask, (lower, upper))
    return Scaling(low=low, high=high)


def _percentiles(volume: Array, mask: Mask, percents: tuple[float, ...]) -> list[float]:
    inside = volume[mask]
    if inside.size == 0:
        message = "intensities cannot be scaled: the mask is empty; expected at least one voxel"
        raise ScanError(message)
    return [float(value) for value in np.percentile(inside.astype(np.float64), percents)]
