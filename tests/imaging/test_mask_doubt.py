"""Inputs that hold no whole upright head: the app says so itself."""

import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.brainmask import find_brain
from bids_harmonize.imaging.headmask import find_head
from tests.benchmarks.wrong_inputs import WRONG, cut_field_of_view, noise, world_axes
from tests.imaging.phantom_scans import dice, make_phantom_scan

SEEN_BY_THE_HEAD = {
    "abdomen": "cuts the top of the head",
    "upside_down": "cuts the top of the head",
    "lower_half": "cuts the top of the head",
    "upper_half": "head volume",
    "padded_upper_half": "head volume",
    "left_half": "cuts the right of the head",
    "stripped_hemisphere": "stripped brain volume",
}


@pytest.fixture(scope="module")
def scan():
    return make_phantom_scan()


def _brain(volume, affine):
    head = find_head(volume, affine)
    return find_brain(
        volume, affine, head.mask, load_template(), skull_stripped=head.skull_stripped
    )


@pytest.mark.parametrize("name", SEEN_BY_THE_HEAD)
def test_no_head_mask_of_a_wrong_input_is_trusted(scan, name):
    head = find_head(*WRONG[name](scan))
    assert head.doubtful
    assert head.confidence < 0.5
    assert any(SEEN_BY_THE_HEAD[name] in flag for flag in head.flags)


def test_noise_is_no_head(scan):
    with pytest.raises(ScanError, match="no head found"):
        find_head(*noise(scan))


def test_a_good_scan_is_trusted(scan):
    head = find_head(scan.volume, scan.affine)
    brain = find_brain(scan.volume, scan.affine, head.mask, load_template())
    assert (head.doubtful, brain.doubtful) == (False, False)
    assert (head.flags, brain.flags) == ((), ())
    assert head.confidence > 0.9
    assert brain.confidence > 0.9
    assert dice(brain.mask, scan.brain) > 0.96


def test_a_field_of_view_that_cuts_the_brain_is_told(scan):
    top = float(world_axes(scan.volume.shape, scan.affine)[2][scan.brain].max())
    volume, affine = cut_field_of_view(scan.volume, scan.affine, world_axis=2, above=top - 14)
    brain = _brain(volume, affine)
    assert brain.doubtful
    assert any("field of view cuts the brain at its top" in flag for flag in brain.flags)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(WRONG) - {"noise"}))
def test_no_brain_mask_of_a_wrong_input_is_trusted(scan, name):
    brain = _brain(*WRONG[name](scan))
    assert brain.doubtful
    assert brain.confidence < 0.5
    assert len(brain.flags) >= 1
