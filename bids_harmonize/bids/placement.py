"""Where an image lies in the world, as its header says; a header can say it twice.

Choice: the sform wins where its code is above 0, as in nibabel and FSL, unless no scanner can
have written it: not finite, sizes that no image has, parallel or sheared axes. Then the qform, if
its code is above 0. Reason: registrations store shears there, which change the head's size and
shape, and a qform cannot hold one. Rejected: the nearest unsheared matrix (a guess), trusting the
qform first (often stale). Revisit when a dataset shows the qform to be the better one.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import nibabel as nb
import numpy as np
from numpy.typing import NDArray

from bids_harmonize.bids.nifti import NiftiFile
from bids_harmonize.errors import ScanError

VOXEL_SIZES_MM = (0.1, 20.0)
"""Sizes that a header can claim and be believed."""

SIZE_TOLERANCE = 0.05
"""Relative difference allowed between the voxel sizes that one header states twice."""

MAX_SHEAR = 0.01
"""Cosine of the angle between two axes above which they are called sheared: 0.6 degrees off."""

MAX_DISAGREEMENT_MM = 0.5
"""Distance of a corner between sform and qform from which the two are said to disagree; a qform
is rounded by up to 0.3 mm, since its quaternion is float32 and loses digits near half turns."""

_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}

AffineSource = Literal["sform", "qform", "none"]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an image lies.

    Parameters
    ----------
    affine
        4x4, voxel to world, mm, RAS+.
    source
        The part of the header that it was read from; ``none``: the header states no orientation.
    flags
        What is odd about it, in words.
    """

    affine: NDArray[np.float64]
    source: AffineSource
    flags: tuple[str, ...]


def place_image(file: NiftiFile) -> Placement:
    """The place of an image.

    Parameters
    ----------
    file
        From ``open_nifti``; it has three axes or more.

    Returns
    -------
    Placement
        Axes at right angles (within 0.6 degrees), voxels of 0.1 to 20 mm.

    Raises
    ------
    ScanError
        If the header contradicts itself or states a place that no scan has.
    """
    header = file.header
    stated, factor, flags = _stated_sizes(header)
    scale = np.diag([factor, factor, factor, 1.0])
    found: dict[AffineSource, NDArray[np.float64]] = {}
    if int(header["sform_code"]) > 0:
        found["sform"] = scale @ header.get_sform()
    if int(header["qform_code"]) > 0:
        found["qform"] = scale @ _qform(header)
    if not found:
        found["none"] = scale @ header.get_base_affine()
        flags.append("the header states no orientation; left and right are a guess")
    faults = {source: _fault(affine, stated) for source, affine in found.items()}
    source = next(iter(found))
    if faults[source] and not faults.get("qform", "no qform") and _is_impossible(found[source]):
        flags.append(f"the sform cannot be used ({faults[source]}); the qform was taken")
        source = "qform"
    elif faults[source]:
        message = f"{file.path}: the header lies: {faults[source]}; convert the image again"
        raise ScanError(message)
    elif source == "sform" and not faults.get("qform", "no qform"):
        flags += _disagreement(found["sform"], found["qform"], file.shape)
    return Placement(np.asarray(found[source], dtype=np.float64), source, tuple(flags))


def _stated_sizes(header: Any) -> tuple[NDArray[np.float64], float, list[str]]:
    """Voxel sizes of pixdim in mm, the factor that made them mm, and what was odd."""
    stored = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    code = int(header["xyzt_units"]) & 7
    factor = _MM_PER_UNIT.get(code, 1.0)
    if factor == 1.0:
        return stored, factor, []
    unit = _UNIT_NAMES[code]
    if _are_possible(stored * factor) or not _are_possible(stored):
        return stored * factor, factor, [f"the header is in {unit}; converted to mm"]
    return stored, 1.0, [f"the header claims {unit} but its voxel sizes fit mm only; taken as mm"]


def _qform(header: Any) -> NDArray[np.float64]:
    """The qform; a quaternion that rounding made a little too long is brought back to length 1."""
    b, c, d = (float(header[f"quatern_{letter}"]) for letter in "bcd")
    rest = 1.0 - (b * b + c * c + d * d)
    affine = np.full((4, 4), np.nan)
    affine[3] = (0.0, 0.0, 0.0, 1.0)
    if rest < -1e-3 or not math.isfinite(rest):
        return affine
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    sizes[2] *= -1.0 if float(header["pixdim"][0]) == -1.0 else 1.0
    affine[:3, :3] = nb.quaternions.quat2mat((math.sqrt(max(rest, 0.0)), b, c, d)) * sizes
    affine[:3, 3] = [float(header[f"qoffset_{letter}"]) for letter in "xyz"]
    return affine


def _fault(affine: NDArray[np.float64], stated: NDArray[np.float64]) -> str | None:
    """Why an affine cannot be believed, or ``None``."""
    if not np.isfinite(affine).all():
        return "the affine holds values that are not finite"
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not _are_possible(sizes):
        low, high = VOXEL_SIZES_MM
        hint = "; is it in metres and not said so" if _are_possible(sizes * 1000) else ""
        return f"voxel size {_by(sizes)} mm, expected between {low:g} and {high:g} mm{hint}"
    axes = affine[:3, :3] / sizes
    if abs(np.linalg.det(axes)) < 1e-3:
        return "two axes of the affine are parallel"
    cosine = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if cosine > MAX_SHEAR:
        angle = math.degrees(math.acos(min(cosine, 1.0)))
        return (
            f"two axes of the affine meet at {angle:.1f} degrees, expected 90: a registration's"
            " shear stands in it"
        )
    if not np.allclose(stated, sizes, rtol=SIZE_TOLERANCE):
        return f"voxel size {_by(stated)} mm in pixdim, {_by(sizes)} mm in the affine"
    return None


def _is_impossible(affine: NDArray[np.float64]) -> bool:
    """Whether no scanner can have written it; voxel sizes that contradict pixdim do not count."""
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        return _fault(affine, sizes) is not None


def _are_possible(sizes: NDArray[np.float64]) -> bool:
    low, high = VOXEL_SIZES_MM
    return bool(np.isfinite(sizes).all() and ((sizes > low) & (sizes < high)).all())


def _disagreement(
    sform: NDArray[np.float64], qform: NDArray[np.float64], shape: tuple[int, ...]
) -> list[str]:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]])).reshape(3, -1)
    difference = sform - qform
    moved = difference[:3, :3] @ corners + difference[:3, 3:]
    distance = float(np.sqrt((moved**2).sum(axis=0)).max())
    if distance <= MAX_DISAGREEMENT_MM:
        return []
    codes = ["".join(nb.aff2axcodes(affine)) for affine in (sform, qform)]
    words = f" ({codes[0]} and {codes[1]})" if codes[0] != codes[1] else ""
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        words += "; one of them mirrors the head"
    return [f"sform and qform disagree by up to {distance:.1f} mm{words}; the sform was taken"]


def _by(sizes: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes)
