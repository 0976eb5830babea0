"""Affine registration of the brain template to a head, or to a brain alone.

Choice: many starts are ranked by how well the template, given a synthetic scalp, explains the
whole upper head; the best few are then optimised inside the template's brain alone. Both images
are locally normalised and compared by correlation, at 4 mm. Reason: judged by the whole head, a
start can neither shrink into the brain nor grow onto the scalp; judged inside the brain, the
final fit does not see the skull that the template lacks; local normalisation takes the coil's
bias away. On 52 real images of six data sets the correlation was .66-.76, and visibly wrong fits
stayed under .55. Rejected: mutual information with a rim around the template (with a
scalp it shrank to .6 of the template on most of six images, without one it grew beyond it); from
brain to roughly extracted brain (keeps the extraction's errors). Revisit when a template with
skull may be shipped.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging._itk import from_itk_transform
from bids_harmonize.imaging.geometry import Grid, cover_grid, invert, world_coordinate
from bids_harmonize.imaging.morphology import dilate_mm
from bids_harmonize.imaging.registration import (
    Sampled,
    affine_transform,
    crop_to_mask,
    optimise,
    scale_about,
)
from bids_harmonize.imaging.resampling import resample, resample_mask, resample_through
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

PITCHES_DEG: Final = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
SCALES: Final = (0.82, 0.9, 0.98)  # template to head; the template's brain is large
OFFSETS_MM: Final = (-20.0, -10.0, 0.0, 10.0)
N_OPTIMISED: Final = 4
MIN_START_DISTANCE_MM: Final = 8.0  # starts nearer than this to a better one are not tried
SCALP_MM: Final = 12.0  # skin, skull and fluid between the brain's top and the vertex
CRANIUM_MM: Final = 110.0  # the part below the vertex that ranks the starts: no mouth, no neck
AIR_MM: Final = 8.0  # the rim of air that belongs to it
LEVEL_MM: Final = 4.0
RING_MM: Final = (7.0, 13.0)  # distance of the synthetic scalp from the template's brain
RING_FLOOR_MM: Final = -20.0  # template world; below it there are a face and a neck
LOCAL_MM: Final = 20.0  # sd of the Gaussian window of local normalisation
LOCAL_TOP: Final = 1.5  # fat is brighter than this times its surroundings
GOOD_CORRELATION: Final = 0.6  # below it a second, longer search is worth its time
CERTAIN_CORRELATION: Final = 0.65  # above it other starts gained under .01 on five real scans
RANKING_STEP: Final = 3  # every third voxel is enough to rank the starts


@dataclass(frozen=True, eq=False)
class TemplateFit:
    """Where a scan lies in the template.

    Parameters
    ----------
    to_template
        4x4 matrix, mm, RAS+, from the scan's world to the template's world.
    correlation
        Of both, locally normalised, inside the template's brain at 4 mm, -1 to 1.
    second_try
        The quick search found no good fit, and a longer one was made.
    """

    to_template: Affine
    correlation: float
    second_try: bool

    @property
    def determinant(self) -> float:
        """Volume of the scan's brain over that of the template's."""
        return float(1.0 / np.linalg.det(self.to_template[:3, :3]))


def fit_template(
    scan: Sampled, template: TemplateImages, *, vertex_mm: float, skull_stripped: bool
) -> TemplateFit:
    """Affine fit of the template to a scan.

    Parameters
    ----------
    scan
        Volume on a straight grid, intensities of at least 0, with the head mask.
    template
        What is fitted.
    vertex_mm
        World z of the vertex (of the brain's top in a skull-stripped scan), mm.
    skull_stripped
        The scan shows a brain alone: no synthetic scalp is used.

    Returns
    -------
    TemplateFit
        The fit of the highest correlation among all tries.
    """
    fixed = _upper_head(scan, vertex_mm=vertex_mm)
    whole = _template_at(template, with_ring=not skull_stripped)
    scalp = 0.0 if skull_stripped else SCALP_MM
    starts = _starts(scan, template, vertex_mm=vertex_mm, scalp_mm=scalp)
    promising = _most_promising(starts, fixed, whole)
    first = _best_inside(promising, scan, template, second_try=False)
    if first.correlation >= GOOD_CORRELATION:
        return first
    centre = _mask_centre(fixed).tolist()
    moved = []
    for start in promising:
        transform = affine_transform(start, centre)
        optimise(whole, fixed, transform, first_step_mm=3.0, metric="correlation")
        moved.append(from_itk_transform(transform))
    second = _best_inside(moved, scan, template, second_try=True)
    if second.correlation > first.correlation:
        return second
    return TemplateFit(first.to_template, first.correlation, second_try=True)


def _best_inside(
    starts: list[Affine], scan: Sampled, template: TemplateImages, *, second_try: bool
) -> TemplateFit:
    """Best of several starts (scan -> template) optimised inside the template's brain."""
    grid = cover_grid(scan.volume.shape, scan.affine, resolution_mm=LEVEL_MM)
    volume = resample(scan.volume, scan.affine, grid, interpolation="linear")
    head = resample_mask(_mask(scan), scan.affine, grid)
    moving = Sampled(local_normalised(volume, head, LEVEL_MM), grid.affine)
    plain = _template_at(template, with_ring=False)
    fixed = crop_to_mask(Sampled(plain.volume, plain.affine, plain.volume > 0))
    centre = _mask_centre(fixed).tolist()
    best: TemplateFit | None = None
    for start in starts:
        transform = affine_transform(invert(start), centre)
        optimise(moving, fixed, transform, first_step_mm=2.0, metric="correlation")
        to_template = invert(from_itk_transform(transform))
        correlation = template_correlation(scan, template, to_template)
        if best is None or correlation > best.correlation:
            best = TemplateFit(to_template, correlation, second_try=second_try)
        if best.correlation >= CERTAIN_CORRELATION:
            break
    if best is None:
        message = "no start for the template was found: the head mask is empty"
        raise ScanError(message)
    return best


def template_correlation(scan: Sampled, template: TemplateImages, to_template: Affine) -> float:
    """Pearson correlation of scan and template in the template's brain, both at 4 mm, -1 to 1."""
    moving = _template_at(template, with_ring=False)
    grid = cover_grid(template.t1.shape, template.affine, resolution_mm=LEVEL_MM)
    brain = resample_mask(template.brain_mask, template.affine, grid)
    seen = resample_through(
        scan.volume, scan.affine, invert(to_template), grid, interpolation="linear"
    )
    scan_values = local_normalised(seen, brain, LEVEL_MM)[brain]
    template_values = resample(moving.volume, moving.affine, grid, interpolation="linear")[brain]
    if float(np.ptp(scan_values)) == 0.0:  # nothing of the scan lies there
        return -1.0
    return float(np.corrcoef(scan_values, template_values)[0, 1])


def local_normalised(volume: Volume, mask: Mask, resolution_mm: float) -> Volume:
    """Volume over its local mean in the mask, clipped to 0..1.5; 0 outside.

    Parameters
    ----------
    volume, mask
        Arrays of shape (I, J, K).
    resolution_mm
        Isotropic voxel size, mm.

    Returns
    -------
    ndarray
        float32, no unit; a smooth bias field cancels out.
    """
    sigma = LOCAL_MM / resolution_mm
    inside = np.where(mask, np.maximum(volume, 0), 0).astype(np.float32)
    mean = ndimage.gaussian_filter(inside, sigma)
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    floor = max(1e-6 * float(mean.max()), 1e-30)
    ratio = np.clip(inside * weight / np.maximum(mean, floor), 0, LOCAL_TOP)
    return np.where(mask, ratio, 0).astype(np.float32)


def _most_promising(starts: list[Affine], fixed: Sampled, moving: Sampled) -> list[Affine]:
    """The few best starts (scan -> template), best first, that differ clearly."""
    mask = _mask(fixed)
    points = np.argwhere(mask).T[:, ::RANKING_STEP]
    values = fixed.volume[mask][::RANKING_STEP]
    scores = [
        float(np.corrcoef(values, sample_at(moving, start @ fixed.affine, points))[0, 1])
        for start in starts
    ]
    return _distinct([starts[n] for n in np.argsort(scores, kind="stable")[::-1]], fixed)


def _distinct(ranked: list[Affine], fixed: Sampled) -> list[Affine]:
    """The first few matrices that move the scan's corners to clearly different places."""
    box = np.array(np.meshgrid(*[(0, n - 1) for n in fixed.volume.shape])).reshape(3, -1)
    corners = fixed.affine @ np.vstack([box, np.ones(box.shape[1])])
    chosen: list[Affine] = []
    for matrix in ranked:
        moves = [np.abs((matrix - other) @ corners).mean() for other in chosen]
        if all(move > MIN_START_DISTANCE_MM for move in moves):
            chosen.append(matrix)
        if len(chosen) == N_OPTIMISED:
            break
    return chosen


def _starts(
    scan: Sampled, template: TemplateImages, *, vertex_mm: float, scalp_mm: float
) -> list[Affine]:
    """Matrices scan world -> template world: pitches x scales x offsets around the cranium."""
    mask = _mask(scan)
    upper = world_coordinate(mask, scan.affine, axis=2) > vertex_mm - CRANIUM_MM
    head = np.zeros(3)
    for axis in (0, 1):
        places = world_coordinate(mask, scan.affine, axis=axis)[upper]
        head[axis] = (float(places.min()) + float(places.max())) / 2
    centre = _mask_centre(Sampled(template.t1, template.affine, template.brain_mask))
    top = float(world_coordinate(template.brain_mask, template.affine, axis=2).max())
    starts = []
    for pitch, scale, y, z in product(PITCHES_DEG, SCALES, OFFSETS_MM, OFFSETS_MM):
        matrix = scale_about(centre.tolist(), scale, pitch_deg=pitch)
        head[2] = vertex_mm - scalp_mm - scale * (top - centre[2])
        matrix[:3, 3] += head + np.array([0.0, y, z]) - centre
        starts.append(invert(matrix))
    return starts


def _upper_head(scan: Sampled, *, vertex_mm: float) -> Sampled:
    grid = cover_grid(scan.volume.shape, scan.affine, resolution_mm=LEVEL_MM)
    volume = resample(scan.volume, scan.affine, grid, interpolation="linear")
    head = resample_mask(_mask(scan), scan.affine, grid)
    heights = grid.affine[2, 2] * np.arange(grid.shape[2]) + grid.affine[2, 3]
    region = dilate_mm(head, LEVEL_MM, radius_mm=AIR_MM) & (heights > vertex_mm - CRANIUM_MM)
    return crop_to_mask(Sampled(local_normalised(volume, head, LEVEL_MM), grid.affine, region))


def _template_at(template: TemplateImages, *, with_ring: bool) -> Sampled:
    """Locally normalised template, with or without a synthetic scalp."""
    inner = cover_grid(template.t1.shape, template.affine, resolution_mm=LEVEL_MM)
    pad = int(np.ceil((RING_MM[1] + LEVEL_MM) / LEVEL_MM))
    affine = inner.affine.copy()
    affine[:3, 3] -= pad * LEVEL_MM
    i, j, k = (n + 2 * pad for n in inner.shape)
    grid = Grid(shape=(i, j, k), affine=affine)
    volume = resample(template.t1, template.affine, grid, interpolation="linear")
    brain = resample_mask(template.brain_mask, template.affine, grid)
    if not with_ring:
        return Sampled(local_normalised(volume, brain, LEVEL_MM), affine)
    distance = ndimage.distance_transform_edt(~brain, sampling=LEVEL_MM)
    high = affine[2, 2] * np.arange(k) + affine[2, 3] > RING_FLOOR_MM
    ring = (distance > RING_MM[0]) & (distance <= RING_MM[1]) & high
    volume = np.where(ring, np.float32(np.percentile(volume[brain], 90)), volume)
    return Sampled(
        local_normalised(volume, brain | (distance <= RING_MM[1]) & high, LEVEL_MM), affine
    )


def sample_at(scan: Sampled, voxel_to_world: Affine, voxels: Array) -> Volume:
    """Linearly interpolated intensities at voxels of another grid; 0 outside.

    Parameters
    ----------
    scan
        Where the intensities are read.
    voxel_to_world
        4x4 matrix from the other grid's voxels to the scan's world.
    voxels
        Array (3, n) of voxel indices.

    Returns
    -------
    ndarray
        Array (n,).
    """
    to_voxel = np.linalg.inv(scan.affine) @ voxel_to_world
    points = to_voxel[:3, :3] @ voxels + to_voxel[:3, 3:]
    values: Volume = ndimage.map_coordinates(scan.volume, points, order=1, mode="constant")
    return values


def _mask(scan: Sampled) -> Mask:
    return np.ones(scan.volume.shape, np.bool_) if scan.mask is None else scan.mask


def _mask_centre(scan: Sampled) -> Array:
    """World point (3,) in the middle of the mask's box, mm."""
    places = np.argwhere(_mask(scan))
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    return scan.affine[:3, :3] @ middle + scan.affine[:3, 3]
