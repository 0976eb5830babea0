"""The record that carries template images into the ground floor."""

from dataclasses import dataclass

from bids_harmonize.imaging.types import Affine, Mask, Volume


@dataclass(frozen=True, eq=False)
class TemplateImages:
    """A brain template, all images on one grid.

    Parameters
    ----------
    t1
        Brain-only T1w, float32 of shape (I, J, K), 0 outside the brain.
    gm, wm
        Share of grey and white matter, float32, 0 to 1.
    brain_mask
        Boolean array: the brain with its inner and outer CSF.
    affine
        4x4 voxel-to-world matrix, mm, RAS+ of the template's world.
    """

    t1: Volume
    gm: Volume
    wm: Volume
    brain_mask: Mask
    affine: Affine
