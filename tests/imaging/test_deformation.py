"""A deformation of the template that is known is found again, and means what it says."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from bids_harmonize.atlases import load_template
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging import deformation
from bids_harmonize.imaging._itk import (
    field_from_itk,
    field_to_itk,
    from_itk,
    to_itk,
    to_itk_transform,
)
from bids_harmonize.imaging.deformation import (
    STORED_MM,
    even_intensities,
    find_deformation,
    template_values,
    to_template_points,
)
from bids_harmonize.imaging.displacement import (
    inverse_displacement,
    jacobian_determinant,
    resample_field,
    store_field,
)
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.registration import Sampled
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.phantom.warp import integrate_velocity
from tests.imaging.heads import oblique, world_points


@pytest.fixture(scope="module")
def known():
    """The template's brain, bent by a known smooth field and moved by a known matrix.

    Scan, scan world -> template world, and the true template point of each brain voxel.
    """
    template = load_template(2.0)
    rng = np.random.default_rng(3)
    grid = Grid(shape=(60, 68, 60), affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    to_template = np.eye(4)
    to_template[:3, :3] = oblique(7.0) * 1.06
    to_template[:3, 3] = (3.0, -5.0, 4.0)
    centre = np.linalg.inv(to_template) @ [0.0, -18.0, 5.0, 1.0]
    grid.affine[:3, 3] = centre[:3] - 3.0 * (np.array(grid.shape) - 1) / 2
    smooth = [ndimage.gaussian_filter(rng.standard_normal(grid.shape), 6.0) for _ in range(3)]
    velocity = np.stack([3.0 * part / part.std() for part in smooth])
    bend = integrate_velocity(velocity, voxel_mm=3.0)
    linear = world_points(grid.shape, to_template @ grid.affine)
    places = (linear + bend).reshape(3, -1)
    volume = template_values(template.t1, template.affine, places).reshape(grid.shape)
    brain = template_values(template.brain_mask.astype(np.float32), template.affine, places)
    mask = brain.reshape(grid.shape) >= 0.5
    return Sampled(volume, grid.affine, mask), to_template, places[:, mask.ravel()]


@pytest.fixture(scope="module")
def found(known):
    scan, to_template, _ = known
    return find_deformation(scan, load_template(2.0), to_template=to_template, finest_mm=3.0)


def test_a_known_deformation_is_found(known, found):
    scan, to_template, truth = known
    points = world_points(scan.volume.shape, scan.affine)[:, scan.mask]
    linear = to_template[:3, :3] @ points + to_template[:3, 3:]
    before = np.linalg.norm(linear - truth, axis=0)
    after = np.linalg.norm(to_template_points(found, points) - truth, axis=0)
    assert before.mean() == pytest.approx(3.65, abs=0.1)  # mm: what was to be found
    assert after.mean() == pytest.approx(1.25, abs=0.15)
    assert np.percentile(after, 95) < 2.9


def test_it_folds_nowhere_and_says_how_much_it_bends(found):
    jacobian = jacobian_determinant(found.displacement_mm, STORED_MM)
    assert jacobian.min() > 0.1
    assert found.jacobian_range[0] == pytest.approx(0.77, abs=0.1)
    assert found.jacobian_range[1] == pytest.approx(1.24, abs=0.1)


def test_it_brings_the_images_together(found):
    assert found.correlation_before == pytest.approx(0.70, abs=0.03)
    assert found.correlation == pytest.approx(0.93, abs=0.02)


def test_forth_and_back_is_no_move(found):
    backward = inverse_displacement(found.displacement_mm, STORED_MM)
    size = found.grid.affine[0, 0]
    inner = (slice(8, -8),) * 3
    points = world_points(found.grid.shape, found.grid.affine) + backward.transpose(3, 0, 1, 2)
    voxels = (points - found.grid.affine[:3, 3].reshape(3, 1, 1, 1)) / size
    there = [
        ndimage.map_coordinates(found.displacement_mm[..., n], voxels, order=1, mode="nearest")
        for n in range(3)
    ]
    error = np.stack(there, axis=-1) + backward
    assert np.abs(error[inner]).max() < 0.1  # mm


def test_itk_moves_points_and_images_the_same_way(known, found):
    scan, _, _ = known
    field = sitk.DisplacementFieldTransform(field_to_itk(found.displacement_mm, found.grid.affine))
    both = sitk.CompositeTransform([to_itk_transform(found.template_to_scan), field])
    points = world_points(scan.volume.shape, scan.affine)[:, scan.mask][:, ::997]
    at_template = to_template_points(found, points)
    for point, place in zip(points.T, at_template.T, strict=True):
        back = np.array(both.TransformPoint((place * [-1, -1, 1]).astype(float).tolist()))
        np.testing.assert_allclose(back * [-1, -1, 1], point, atol=0.1)
    template = load_template(2.0)
    reference = to_itk(template.t1, template.affine)
    moved = from_itk(sitk.Resample(to_itk(scan.volume, scan.affine), reference, both))
    inside = ndimage.binary_erosion(template.brain_mask, iterations=2)
    assert np.corrcoef(moved[inside], template.t1[inside])[0, 1] > 0.93
    straight = to_itk_transform(found.template_to_scan)
    plain = from_itk(sitk.Resample(to_itk(scan.volume, scan.affine), reference, straight))
    assert np.corrcoef(plain[inside], template.t1[inside])[0, 1] < 0.85


def test_a_field_comes_back_from_itk(found):
    image = field_to_itk(found.displacement_mm, found.grid.affine)
    np.testing.assert_allclose(field_from_itk(image), found.displacement_mm, atol=1e-6)
    assert image.TransformIndexToPhysicalPoint((0, 0, 0)) == pytest.approx(
        tuple(found.grid.affine[:3, 3] * [-1, -1, 1])
    )


def test_the_stored_grid_holds_the_template(found):
    template = load_template(2.0)
    corners = np.array([[0, 0, 0], np.array(template.t1.shape) - 1])
    voxels = (corners * 2.0 + template.affine[:3, 3] - found.grid.affine[:3, 3]) / STORED_MM
    assert (voxels >= 0).all()
    assert (voxels <= np.array(found.grid.shape) - 1).all()
    assert found.displacement_mm.dtype == np.float32
    assert found.displacement_mm.nbytes < 5e6


@pytest.mark.slow
def test_storing_it_coarsely_costs_under_a_fifth_of_a_millimetre(known):
    scan, to_template, _ = known
    template = load_template(2.0)
    work = Grid(shape=template.t1.shape, affine=template.affine)
    moving = resample_through(
        scan.volume, scan.affine, np.linalg.inv(to_template), work, interpolation="linear"
    )
    images = [
        Sampled(even_intensities(volume, volume > 0), work.affine)
        for volume in (moving, template.t1)
    ]
    field = deformation._demons(*images, levels_mm=(8.0, 4.0, 2.0))
    grid = deformation._stored_grid(template)
    stored = store_field(field, work, grid)
    error = resample_field(stored, grid, work) - field
    lengths = np.linalg.norm(error, axis=-1)[template.brain_mask]
    assert lengths.max() < 0.2
    assert lengths.mean() < 0.03
    assert np.linalg.norm(field, axis=-1)[template.brain_mask].mean() > 2.0


@pytest.mark.slow
def test_equal_input_gives_equal_bits(known, found):
    scan, to_template, _ = known
    again = find_deformation(scan, load_template(2.0), to_template=to_template, finest_mm=3.0)
    np.testing.assert_array_equal(again.displacement_mm, found.displacement_mm)


def test_even_intensities_forget_scale_and_contrast(rng):
    values = np.concatenate([rng.normal(mean, 3, 4000) for mean in (30, 70, 110)])
    volume = values.reshape(20, 20, 30).astype(np.float32)
    even = even_intensities(volume, np.ones(volume.shape, bool))
    for mean, wanted in ((30, 0.25), (70, 0.6), (110, 1.0)):
        near = np.abs(volume - mean) < 1
        assert even[near].mean() == pytest.approx(wanted, abs=0.02)
    again = even_intensities(7 * volume, np.ones(volume.shape, bool))
    np.testing.assert_allclose(again, even, atol=1e-3)


def test_a_mask_far_from_the_template_is_a_scan_error(known):
    scan, to_template, _ = known
    away = to_template.copy()
    away[0, 3] += 400
    with pytest.raises(ScanError, match="outside the brain mask"):
        find_deformation(scan, load_template(2.0), to_template=away)
