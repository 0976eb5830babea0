"""Scale, transform, write back: the one way from an image to a harmonized image."""

import numpy as np

from bids_harmonize.harmonizers.base import Harmonizer, KnowsDistance, keep_outside
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.imaging.types import Mask, Volume


def harmonize_image(
    harmonizer: Harmonizer,
    volume: Volume,
    *,
    site: str,
    to_site: str | None = None,
    head_mask: Mask,
    brain_mask: Mask,
) -> Volume:
    """Volume in native units of the target site, from one in native units of its own.

    Parameters
    ----------
    harmonizer
        A fitted one; it holds the scaling mask and every site's unit.
    volume
        Float32, shape (I, J, K), on the study grid, native units.
    site
        Where it was scanned.
    to_site
        The site wanted; ``None`` is the reference. Scans of that site are only scaled.
    head_mask, brain_mask
        Bool, same shape.

    Returns
    -------
    np.ndarray
        Float32, same shape; outside the head the input's bits.

    Raises
    ------
    DirectionError
        If the harmonizer does not go from one site to the other.
    ScanError
        If the volume has no intensities in its mask.
    """
    rescaled = _rescaled(harmonizer, volume, head_mask, brain_mask)
    changed = harmonizer.transform(
        rescaled, site=site, to_site=to_site, head_mask=head_mask, brain_mask=brain_mask
    )
    target = harmonizer.frame.reference_site if to_site is None else to_site
    return keep_outside(changed * np.float32(harmonizer.high[target]), volume, head_mask)


def image_distance(
    harmonizer: Harmonizer, volume: Volume, *, head_mask: Mask, brain_mask: Mask
) -> float | None:
    """How far an image, in native units of its own site, lies from the training sites.

    Parameters
    ----------
    harmonizer
        A fitted one.
    volume
        Float32, shape (I, J, K), on the study grid, native units; not harmonized.
    head_mask, brain_mask
        Bool, same shape.

    Returns
    -------
    float or None
        See :meth:`~bids_harmonize.harmonizers.base.KnowsDistance.distance`; ``None`` for a
        harmonizer that does not know it (every one but joint models).

    Raises
    ------
    ScanError
        If the volume has no intensities in its mask.
    """
    if not isinstance(harmonizer, KnowsDistance):
        return None
    rescaled = _rescaled(harmonizer, volume, head_mask, brain_mask)
    return harmonizer.distance(rescaled, head_mask=head_mask)


def _rescaled(harmonizer: Harmonizer, volume: Volume, head_mask: Mask, brain_mask: Mask) -> Volume:
    scaling = p99_scaling(volume, harmonizer.frame.unit_mask(head_mask, brain_mask))
    return np.where(head_mask, scaling.apply(volume), np.float32(0))
