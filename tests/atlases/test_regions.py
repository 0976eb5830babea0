"""Coarse regions of the head: known places have their names, and no voxel has two or none."""

import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.atlases import load_template
from bids_harmonize.atlases.regions import (
    BRAIN_REGIONS,
    Regions,
    load_brain_regions,
    load_regions,
)
from bids_harmonize.imaging.orientation import axis_codes

# Well-known places in MNI space, mm, RAS+: right is positive.
POINTS = {
    (38, -20, 56): "right frontal lobe",  # hand area of the precentral gyrus
    (-42, -28, 52): "left parietal lobe",  # postcentral gyrus
    (46, -60, 36): "right parietal lobe",  # angular gyrus
    (-24, 60, 4): "left frontal lobe",  # frontal pole
    (-40, 14, -32): "left temporal lobe",  # temporal pole
    (28, -20, -16): "right temporal lobe",  # hippocampus
    (58, -24, 6): "right temporal lobe",  # Heschl's gyrus
    (-8, -92, 2): "left occipital lobe",  # primary visual cortex
    (26, 4, 2): "right deep grey matter and ventricles",  # putamen
    (-10, -18, 8): "left deep grey matter and ventricles",  # thalamus
    (0, -26, -32): "brainstem",  # pons
    (30, -62, -32): "right cerebellum",
    (-30, -62, -32): "left cerebellum",
    (-32, 56, -38): "left orbit and eye",
    (32, 56, -38): "right orbit and eye",
    (0, 84, -40): "face",  # nose
    (0, 84, 10): "forehead",
    (0, -20, 96): "top of the head",
    (0, -116, 0): "back of the head",
    (-78, -20, -6): "left side of the head",  # ear
    (78, -20, -6): "right side of the head",
    (30, -50, -70): "skull base and neck",
}


@pytest.fixture(scope="module")
def regions() -> Regions:
    return load_regions(resolution_mm=2.0)


def region_at(regions: Regions, point: tuple[int, int, int]) -> str:
    index = np.linalg.solve(regions.affine, [*point, 1])[:3]
    i, j, k = np.round(index).astype(int)
    return regions.names[int(regions.labels[i, j, k])]


@pytest.mark.parametrize(("point", "name"), POINTS.items())
def test_a_known_place_lies_in_its_region(
    regions: Regions, point: tuple[int, int, int], name: str
) -> None:
    assert region_at(regions, point) == name


def test_every_voxel_has_exactly_one_region_and_the_brain_has_regions_of_its_own(
    regions: Regions,
) -> None:
    assert set(np.unique(regions.labels)) == set(regions.names)
    inside = [label for label, name in regions.names.items() if name in BRAIN_REGIONS]
    assert len(inside) == len(BRAIN_REGIONS) == 13
    assert len(set(regions.names.values())) == len(regions.names) == 22
    brain = ndimage.binary_fill_holes(load_template(2.0).brain_mask)
    assert np.array_equal(np.isin(regions.labels, inside), brain)


def test_left_is_left_and_both_sides_are_of_one_size(regions: Regions) -> None:
    assert axis_codes(regions.affine) == "RAS"
    label_of = {name: label for label, name in regions.names.items()}
    brain = load_template(2.0).brain_mask
    for name in sorted(BRAIN_REGIONS - {"brainstem"}):
        place = np.argwhere((regions.labels == label_of[name]) & brain)
        x = place @ regions.affine[0, :3] + regions.affine[0, 3]
        side = name.partition(" ")[0]
        assert (x < 0).all() if side == "left" else (x >= 0).all()
        other = name.replace(side, {"left": "right", "right": "left"}[side])
        size = ((regions.labels == label_of[other]) & brain).sum()
        assert len(place) == pytest.approx(size, rel=0.08)  # the midline's voxels go right


def test_the_lobes_have_sizes_that_brains_have(regions: Regions) -> None:
    brain = load_template(2.0).brain_mask
    share = {
        name: float(((regions.labels == label) & brain).sum() / brain.sum())
        for label, name in regions.names.items()
    }
    for ending, low, high in (
        ("frontal lobe", 0.28, 0.4),
        ("parietal lobe", 0.12, 0.22),
        ("temporal lobe", 0.12, 0.22),
        ("occipital lobe", 0.07, 0.16),
        ("cerebellum", 0.08, 0.14),
        ("brainstem", 0.01, 0.04),
    ):
        assert low < sum(s for name, s in share.items() if name.endswith(ending)) < high, ending


def test_a_coarse_grid_names_the_same_places(regions: Regions) -> None:
    coarse = load_regions(resolution_mm=8.0)
    same = [region_at(coarse, point) == region_at(regions, point) for point in POINTS]
    assert sum(same) >= len(POINTS) - 4  # a voxel of 8 mm may lie on a border


def test_brain_regions_leave_the_brain_as_it_is_and_reach_the_whole_grid():
    whole, brain = load_regions(resolution_mm=4.0), load_brain_regions(4.0)
    assert set(brain.names.values()) == BRAIN_REGIONS
    assert np.isin(brain.labels, list(brain.names)).all()
    inside = np.isin(whole.labels, list(brain.names))
    assert np.array_equal(whole.labels[inside], brain.labels[inside])
    right = next(label for label, name in brain.names.items() if name == "right frontal lobe")
    i, j, k = np.round(np.linalg.inv(brain.affine) @ [60, 60, 40, 1])[:3].astype(int)
    assert not inside[i, j, k]
    assert brain.labels[i, j, k] == right
