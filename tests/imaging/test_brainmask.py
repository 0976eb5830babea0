"""The brain of the template itself, put into a synthetic skull and scalp, is found again.

The brain in this head is the template's, so these tests prove the geometry and the refinement,
not the accuracy on other people's brains; for that see the real images below.
"""

import nibabel as nb
import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.atlases import load_template
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.brainmask import find_brain
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.headmask import find_head
from bids_harmonize.imaging.resampling import resample_through
from tests.imaging.heads import oblique


@pytest.fixture(scope="module")
def phantom():
    """Volume, affine, true brain mask, true map to the template; a tilted, smaller head."""
    template = load_template(2.0)
    grid = Grid(shape=(64, 80, 64), affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    grid.affine[:3, 3] = (-91.0, -133.0, -92.0)
    to_template = np.eye(4)
    to_template[:3, :3] = oblique(9.0) * 1.1  # the brain is the template's over 1.33
    to_template[:3, 3] = (2.0, -4.0, 6.0)

    def lay(image):
        return resample_through(
            image.astype(np.float32), template.affine, to_template, grid, interpolation="linear"
        )

    brain = lay(template.brain_mask) > 0.5
    distance = ndimage.distance_transform_edt(~brain, sampling=3.0)
    volume = lay(template.t1)
    volume[(distance > 0) & (distance <= 7)] = 15
    volume[(distance > 7) & (distance <= 13)] = 210
    rng = np.random.default_rng(0)
    volume = np.hypot(volume + rng.normal(0, 4, volume.shape), rng.normal(0, 4, volume.shape))
    return volume.astype(np.float32), grid.affine, brain, to_template


@pytest.fixture(scope="module")
def found(phantom):
    volume, affine, _, _ = phantom
    return find_brain(volume, affine, find_head(volume, affine).mask, load_template(2.0))


def test_the_brain_is_found_in_its_skull(phantom, found):
    _, _, brain, _ = phantom
    dice = 2 * (found.mask & brain).sum() / (found.mask.sum() + brain.sum())
    assert dice > 0.96
    assert found.mask[ndimage.binary_erosion(brain)].mean() > 0.995
    assert found.volume_litres == pytest.approx(brain.sum() * 27e-6, rel=0.06)
    assert not found.doubtful
    assert found.flags == ()


def test_the_place_in_the_template_is_found(phantom, found):
    _, affine, brain, truth = phantom
    world = affine[:3, :3] @ np.argwhere(brain).T + affine[:3, 3:]
    error = (found.template_affine - truth)[:3, :3] @ world
    error += (found.template_affine - truth)[:3, 3:]
    assert np.linalg.norm(error, axis=0).max() < 4.0  # mm
    assert found.correlation > 0.9


@pytest.mark.slow
def test_equal_input_gives_equal_bits(phantom, found):
    volume, affine, _, _ = phantom
    again = find_brain(volume, affine, find_head(volume, affine).mask, load_template(2.0))
    np.testing.assert_array_equal(again.mask, found.mask)
    np.testing.assert_array_equal(again.template_affine, found.template_affine)


@pytest.mark.slow
def test_another_orientation_of_the_same_scan_gives_the_same_brain(phantom, found):
    volume, affine, _, _ = phantom
    flipped = np.ascontiguousarray(volume[::-1, ::-1])
    lps = affine @ np.diag([-1.0, -1.0, 1.0, 1.0])
    lps[:3, 3] = (affine @ [volume.shape[0] - 1, volume.shape[1] - 1, 0, 1])[:3]
    other = find_brain(flipped, lps, find_head(flipped, lps).mask, load_template(2.0))
    same = other.mask[::-1, ::-1]
    assert 2 * (same & found.mask).sum() / (same.sum() + found.mask.sum()) > 0.999


@pytest.mark.slow
def test_noise_in_the_shape_of_a_head_is_doubtful(phantom):
    volume, affine, _, _ = phantom
    head = find_head(volume, affine).mask
    noise = np.random.default_rng(1).uniform(50, 150, volume.shape).astype(np.float32) * head
    result = find_brain(noise, affine, head, load_template(2.0))
    assert result.doubtful
    assert any("correlation with the template" in flag for flag in result.flags)


def test_an_empty_head_mask_is_a_scan_error(phantom):
    volume, affine, _, _ = phantom
    with pytest.raises(ScanError, match="no head found"):
        find_brain(volume, affine, np.zeros(volume.shape, bool), load_template(2.0))


@pytest.mark.slow
def test_a_real_stripped_brain_is_its_own_mask(real_data):
    image = nb.load(real_data / "real-skullstripped/sub-02/anat/sub-02_T1w.nii.gz")
    volume = np.asarray(image.dataobj, dtype=np.float32)
    head = find_head(volume, image.affine)
    assert head.skull_stripped
    brain = find_brain(volume, image.affine, head.mask, load_template(2.0), skull_stripped=True)
    nonzero = volume != 0
    assert 2 * (brain.mask & nonzero).sum() / (brain.mask.sum() + nonzero.sum()) > 0.95
    assert not brain.doubtful


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ucla01", "ixi034", "boston01"])
def test_a_real_head_holds_a_plausible_brain(real_data, name):
    image = nb.load(real_data / f"real-t1w/sub-{name}/anat/sub-{name}_T1w.nii.gz")
    volume = np.asarray(image.dataobj, dtype=np.float32)
    head = find_head(volume, image.affine)
    brain = find_brain(volume, image.affine, head.mask, load_template(2.0))
    assert brain.flags == ()
    assert brain.correlation > 0.65
    assert brain.volume_litres == pytest.approx(1.45, abs=0.12)
    assert not (brain.mask & ~head.mask).any()
