"""Affine registration of the brain template to a head, or to a brain alone.

Choice: the template (fixed) is compared with the head by mutual information; the best of many
starts on a coarse grid are optimised with a synthetic scalp around the template, then the plain
template is fitted within 10 mm of its brain. Reason: the template has no skull, so a plain affine
grows onto a thin scalp. Rejected: one start from centres of mass (fails on pitched heads).
Revisit when a template with skull may be shipped.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging._itk import from_itk_transform
from bids_harmonize.imaging.geometry import cover_grid, world_coordinate
from bids_harmonize.imaging.registration import (
    Sampled,
    affine_transform,
    at_resolution,
    crop_to_mask,
    mutual_information,
    optimise,
    scale_about,
)
from bids_harmonize.imaging.resampling import resample, resample_mask
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

PITCHES_DEG: Final = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
SCALES: Final = (0.84, 0.92, 1.0)  # template to head; the template's brain is large
OFFSETS_MM: Final = (-10.0, 0.0, 10.0)
SCALP_MM: Final = 12.0  # skin, skull and fluid between the brain's top and the vertex
CRANIUM_MM: Final = 100.0  # the part below the vertex that centres the starts: no nose, no neck
START_MM: Final = 4.0
FINE_MM: Final = 3.0
N_OPTIMISED: Final = 3
RING_MM: Final = (7.0, 13.0)
RING_REACH_MM: Final = 20.0
PLAIN_REACH_MM: Final = 10.0
RING_FLOOR_MM: Final = -20.0  # height in the template's world; below it there is a face and a neck
PLAUSIBLE_DETERMINANT: Final = (0.5, 1.1)
POOR_CORRELATION: Final = 0.55


@dataclass(frozen=True, eq=False)
class TemplateFit:
    """Where the template lies on a head.

    Parameters
    ----------
    to_scan
        4x4 matrix, mm, RAS+, from the template's world to the scan's world.
    correlation
        Pearson correlation of template and scan inside the template's brain, -1 to 1.
    second_try
        The first fit was implausible and a second one, without scalp, was made.
    """

    to_scan: Affine
    correlation: float
    second_try: bool

    @property
    def determinant(self) -> float:
        """Volume of the head's brain over that of the template's."""
        return float(np.linalg.det(self.to_scan[:3, :3]))

    @property
    def plausible(self) -> bool:
        """Size and likeness are those of a human brain."""
        low, high = PLAUSIBLE_DETERMINANT
        return low <= self.determinant <= high and self.correlation >= POOR_CORRELATION


def fit_template(
    scan: Sampled, template: TemplateImages, *, vertex_mm: float, skull_stripped: bool
) -> TemplateFit:
    """Best affine fit of the template to a scan.

    Parameters
    ----------
    scan
        Bias-corrected volume on a straight grid, with the head mask.
    template
        What is fitted.
    vertex_mm
        World z of the vertex, mm.
    skull_stripped
        The scan shows a brain alone: no synthetic scalp is used.

    Returns
    -------
    TemplateFit
        Of two tries (when the first is implausible) the one that correlates better.
    """
    first = _fit(scan, template, vertex_mm=vertex_mm, with_ring=not skull_stripped)
    if first.plausible or skull_stripped:
        return first
    second = _fit(scan, template, vertex_mm=vertex_mm, with_ring=False)
    best = max((first, second), key=lambda fit: (fit.plausible, fit.correlation))
    return TemplateFit(best.to_scan, best.correlation, second_try=True)


def _fit(
    scan: Sampled, template: TemplateImages, *, vertex_mm: float, with_ring: bool
) -> TemplateFit:
    coarse = at_resolution(scan, START_MM)
    fixed = _fixed(template, START_MM, with_ring=with_ring)
    scalp = SCALP_MM if with_ring else 0.0
    starts = _starts(scan, template, vertex_mm=vertex_mm, scalp_mm=scalp)
    ranked = sorted(starts, key=lambda start: -_likeness(coarse, fixed, start))
    centre = _centre(template)
    tries = []
    for start in ranked[:N_OPTIMISED]:
        transform = affine_transform(start, centre.tolist())
        value = optimise(coarse, fixed, transform, first_step_mm=2.0, n_iterations=60)
        tries.append((value, transform))
    transform = max(tries, key=lambda pair: pair[0])[1]
    plain = _fixed(template, FINE_MM, with_ring=False)
    optimise(at_resolution(scan, FINE_MM), plain, transform, first_step_mm=1.0, n_iterations=60)
    to_scan = from_itk_transform(transform)
    return TemplateFit(to_scan, _correlation(scan, template, to_scan), second_try=False)


def _starts(
    scan: Sampled, template: TemplateImages, *, vertex_mm: float, scalp_mm: float
) -> list[Affine]:
    """Matrices template world -> scan world: pitches x scales x offsets around the cranium."""
    mask = scan.mask if scan.mask is not None else np.ones(scan.volume.shape, np.bool_)
    upper = world_coordinate(mask, scan.affine, axis=2) > vertex_mm - CRANIUM_MM
    head = np.zeros(3)
    for axis in (0, 1):
        places = world_coordinate(mask, scan.affine, axis=axis)[upper]
        head[axis] = (float(places.min()) + float(places.max())) / 2
    centre = _centre(template)
    top = float(world_coordinate(template.brain_mask, template.affine, axis=2).max())
    starts = []
    for pitch, scale, y, z in product(PITCHES_DEG, SCALES, OFFSETS_MM, OFFSETS_MM):
        matrix = scale_about(centre.tolist(), scale, pitch_deg=pitch)
        head[2] = vertex_mm - scalp_mm - scale * (top - centre[2])
        matrix[:3, 3] += head + np.array([0.0, y, z]) - centre
        starts.append(matrix)
    return starts


def _fixed(template: TemplateImages, resolution_mm: float, *, with_ring: bool) -> Sampled:
    """Template at a resolution with the mask in which it is compared."""
    reach = RING_REACH_MM if with_ring else PLAIN_REACH_MM
    grid = cover_grid(template.t1.shape, template.affine, resolution_mm=resolution_mm)
    pad = int(np.ceil(reach / resolution_mm))
    volume = np.pad(resample(template.t1, template.affine, grid, interpolation="linear"), pad)
    brain = np.pad(resample_mask(template.brain_mask, template.affine, grid), pad)
    affine = grid.affine.copy()
    affine[:3, 3] -= pad * resolution_mm
    distance = ndimage.distance_transform_edt(~brain, sampling=resolution_mm)
    if with_ring:
        high = affine[2, 2] * np.arange(volume.shape[2]) + affine[2, 3] > RING_FLOOR_MM
        ring = (distance > RING_MM[0]) & (distance <= RING_MM[1]) & high
        volume = np.where(ring, np.float32(np.percentile(volume[brain], 90)), volume)
    return crop_to_mask(Sampled(volume, affine, distance <= reach))


def _likeness(coarse: Sampled, fixed: Sampled, start: Affine) -> float:
    if fixed.mask is None:
        return 0.0
    sampled = sample_at(coarse, start @ fixed.affine, fixed.mask)
    return mutual_information(fixed.volume[fixed.mask], sampled)


def sample_at(scan: Sampled, voxel_to_world: Affine, mask: Mask) -> Volume:
    """Linearly interpolated intensities at the voxels of a mask on another grid; 0 outside."""
    places = np.argwhere(mask).T
    to_voxel = np.linalg.inv(scan.affine) @ voxel_to_world
    points = to_voxel[:3, :3] @ places + to_voxel[:3, 3:]
    values: Volume = ndimage.map_coordinates(scan.volume, points, order=1, mode="constant")
    return values


def _correlation(scan: Sampled, template: TemplateImages, to_scan: Affine) -> float:
    values = sample_at(scan, to_scan @ template.affine, template.brain_mask)
    return float(np.corrcoef(values, template.t1[template.brain_mask])[0, 1])


def _centre(template: TemplateImages) -> Array:
    places = np.argwhere(template.brain_mask)
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    return template.affine[:3, :3] @ middle + template.affine[:3, 3]
