"""Parcels: known places have their names, sides do not mix, nothing is left without one."""

import numpy as np
import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.atlases.parcels import N_PARCELS, load_parcels

# Centres of regions in the published list, mm, MNI.
POINTS = {
    (-20, -24, -18): "hippocampus_left",
    (-8, -92, 2): "Visual_left",
    (10, -18, 8): "thalamus_right",
    (28, -62, -32): "cerebellum_right",
    (-4, -50, 30): "DefaultMode_left",  # posterior cingulate
    (-38, -26, 56): "SomatomotorDorsal_left",  # hand area
}


@pytest.fixture(scope="module")
def parcels():
    return load_parcels()


def parcel_at(parcels, point):
    i, j, k = np.rint(np.linalg.solve(parcels.affine, [*point, 1])[:3]).astype(int)
    return parcels.names[int(parcels.labels[i, j, k])]


@pytest.mark.parametrize(("point", "name"), POINTS.items())
def test_a_known_place_lies_in_its_parcel(parcels, point, name):
    assert parcel_at(parcels, point).startswith(name)


def test_there_are_three_hundred_with_names_of_their_own_and_all_hold_grey_matter(parcels):
    template = load_template()
    assert len(set(parcels.names.values())) == N_PARCELS
    inside = template.brain_mask
    sizes = np.bincount(parcels.labels[inside], minlength=N_PARCELS + 1)[1:] * 0.008
    assert sizes.min() > 2.0
    assert np.median(sizes) == pytest.approx(6.2, abs=0.2)
    grey = np.bincount(
        parcels.labels[inside], weights=template.gm[inside], minlength=N_PARCELS + 1
    )
    assert grey[1:].min() * 0.008 > 1.0
    assert (parcels.labels > 0).all()


def test_sides_do_not_mix(parcels):
    inside = np.argwhere(load_template().brain_mask)
    x = (inside @ parcels.affine[:3, :3].T + parcels.affine[:3, 3])[:, 0]
    names = np.array([parcels.names[label] for label in parcels.labels[tuple(inside.T)]])
    assert not any("right" in name for name in set(names[x < 0]))
    assert not any("left" in name for name in set(names[x > 0]))


def test_numbers_go_from_front_to_back(parcels):
    inside = np.argwhere(load_template().brain_mask)
    y = (inside @ parcels.affine[:3, :3].T + parcels.affine[:3, 3])[:, 1]
    found = parcels.labels[tuple(inside.T)]
    by_name = {name: label for label, name in parcels.names.items()}
    means = [y[found == by_name[f"Visual_left_{n:02d}"]].mean() for n in (1, 8, 15)]
    assert means[0] > means[1] > means[2]


def test_the_labels_cannot_be_changed(parcels):
    with pytest.raises(ValueError, match="read-only"):
        parcels.labels[0, 0, 0] = 1
