"""The brain: by the template, by another program, or as a derivative dataset has it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.atlases import load_template
from bids_harmonize.bids.images import read_mask, write_image
from bids_harmonize.bids.rawimages import read_raw
from bids_harmonize.imaging.brainmask import BrainResult, find_brain
from bids_harmonize.imaging.given_brain import find_beside_given
from bids_harmonize.imaging.grid import resample_mask
from bids_harmonize.imaging.orientation import to_ras
from bids_harmonize.imaging.types import Affine, Mask, Volume
from bids_harmonize.preprocessing.steps.conform import Conformed


def mask_brain(
    source: Path,
    conformed_file: Path,
    out_file: Path,
    *,
    skull_stripped: bool,
    method: str = "template",
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Find the brain in the raw image: the study grid may be coarse.

    The template is always fitted: it gives the way to the template, and judges any other mask.

    Parameters
    ----------
    source
        The raw image.
    conformed_file
        The same scan, :class:`Conformed`.
    out_file
        Where mask and affine go (``.npz`` with ``mask`` and ``world_to_template``).
    skull_stripped
        The raw image shows a brain only, see :func:`conform`.
    method
        ``template``, or a program of ``preprocessing.tools.BRAIN_PROGRAMS``. A skull-stripped
        image needs none: all that it shows is brain.
    given
        ``path`` and ``name`` of a derivative dataset's mask, which wins.

    Returns
    -------
    dict
        ``flags``, ``doubtful``, ``confidence``, ``volume_litres``, ``correlation`` with the
        template, and ``source`` of the mask: ``template`` where the other mask was refused.

    Raises
    ------
    ScanError
        If an image cannot be used, a program fails, or no brain is found: without another mask
        that fits the template.
    """
    raw = read_raw(source)
    volume, affine = raw.volume, raw.affine
    scan = Conformed.load(conformed_file)
    head = scan.raw_head_mask
    other: tuple[Mask, Affine] | None = None
    told = own = "input" if skull_stripped else "template"
    if given is not None:
        told = f"derivative:{given['name']}"
        other = read_mask(Path(given["path"]))
    elif method != "template" and not skull_stripped:
        told = method
        other = _by_program(method, volume, affine, out_file.parent)
    template = load_template()
    if other is None:
        brain = find_brain(volume, affine, head, template, skull_stripped=skull_stripped)
    else:
        brain = find_beside_given(
            *other, volume, affine, head, template, skull_stripped=skull_stripped
        )
        told = told if brain.given_used else own
    mask = resample_mask(brain.mask, affine, scan.grid) & scan.head_mask
    np.savez(out_file, mask=mask, world_to_template=brain.template_affine)
    return {**_notes(brain), "source": told}


def load_brain(path: Path) -> tuple[Mask, Affine]:
    """Brain mask and world-to-template matrix that :func:`mask_brain` wrote."""
    with np.load(path) as arrays:
        return arrays["mask"], arrays["world_to_template"]


def _by_program(method: str, volume: Volume, affine: Affine, folder: Path) -> tuple[Mask, Affine]:
    from bids_harmonize.preprocessing.tools import BRAIN_PROGRAMS

    volume_file = folder / "volume.nii.gz"
    write_image(volume_file, *to_ras(volume, affine))
    mask_file = BRAIN_PROGRAMS[method](volume_file, folder)
    return read_mask(mask_file)


def _notes(brain: BrainResult) -> dict[str, Any]:
    return {
        "flags": list(brain.flags),
        "doubtful": bool(brain.doubtful),
        "confidence": float(brain.confidence),
        "volume_litres": float(brain.volume_litres),
        "correlation": float(brain.correlation),
    }
