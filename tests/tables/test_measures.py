"""Regions and volumes as several tools spell them."""

import pytest

from bids_harmonize.tables.measures import intracranial_column, region_key


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("lh_bankssts_thickness", "L_bankssts"),
        ("rh_superiorfrontal_volume", "R_superiorfrontal"),
        ("Left-Thalamus-Proper", "Lthal"),
        ("Left-Thalamus", "Left-Thalamus-Proper"),
        ("Right-Accumbens-area", "Raccumb"),
        ("Right-Lateral-Ventricle", "RLatVent"),
    ],
)
def test_spellings_of_one_region_meet(ours, theirs):
    assert region_key(ours) == region_key(theirs)


def test_sides_and_regions_stay_apart():
    names = ("lh_insula_thickness", "rh_insula_thickness", "lh_cuneus_thickness", "Lput", "Lpal")
    assert len({region_key(name) for name in names}) == 5


@pytest.mark.parametrize(
    "name", ["eTIV", "IntraCranialVol", "EstimatedTotalIntraCranialVol", "TIV"]
)
def test_the_intracranial_volume_is_known_by_its_names(name):
    assert intracranial_column(["lh_insula_thickness", name]) == name
    assert intracranial_column(["BrainSegVol"]) is None
