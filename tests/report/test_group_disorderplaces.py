"""Where the differences lie: parcels at their places, every arm on one scale."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.atlases.parcels import parcel_places
from bids_harmonize.report.group_blocks import Figure, Paragraph
from bids_harmonize.report.group_disorder import disorder_section
from bids_harmonize.report.group_disorderplaces import VIEWS, place_blocks, placed_effects, seen
from bids_harmonize.report.group_inputs import read_group_inputs
from tests.report.disorder_fixture import FEATURES, write_disorder_tables

PARCELS = tuple(f"parcel_{name}_volume_ml" for name in parcel_places().index[:12])
DENSITIES = tuple(name.replace("_volume_ml", "_density") for name in PARCELS)


def table(names=PARCELS, arms=("raw", "combat")):
    rows = [
        {"arm": arm, "feature": name, "d": 0.1 * place - 0.5, "q": 0.04 if place else 0.5}
        for arm in arms
        for place, name in enumerate(names)
    ]
    return pd.DataFrame(rows)


def test_parcels_get_the_published_places():
    rows, words = placed_effects(table())
    assert words == "volume of grey matter"
    assert len(rows) == 24
    first = rows[rows["feature"] == "parcel_unassigned_left_03_volume_ml"].iloc[0]
    assert tuple(first[["x", "y", "z"]]) == (-56.16, -44.76, -24.23)  # first line of the file


def test_densities_are_taken_before_volumes_and_either_alone_will_do():
    assert set(placed_effects(table((*PARCELS, *DENSITIES)))[0]["feature"]) == set(DENSITIES)
    assert placed_effects(table(DENSITIES))[1] == "density of grey matter"


@pytest.mark.parametrize(
    "names",
    [FEATURES, PARCELS[:9], (*PARCELS[:11], "parcel_my_own_region_volume_ml")],
)
def test_other_features_few_parcels_and_another_atlas_are_not_drawn(names):
    assert place_blocks(table(names)) == []


def test_each_view_shows_its_half_the_right_way_round():
    points = np.array([[-40.0, 50.0, 10.0], [40.0, -60.0, 20.0], [0.0, 0.0, 70.0]])
    found = {view.name: seen(view, points) for view in VIEWS}
    assert {name: list(shown) for name, (_, shown) in found.items()} == {
        "left": [True, False, True],
        "back": [True] * 3,
        "top": [True] * 3,
        "right": [False, True, True],
    }
    assert found["left"][0][0].tolist() == [-50, 10]  # the forehead of the left half looks left
    assert found["right"][0][1].tolist() == [-60, 20]  # and that of the right half right
    assert found["back"][0][0].tolist() == [-40, 10]
    assert found["top"][0][1].tolist() == [40, -60]


def test_the_figure_stands_in_the_section_with_one_scale(tmp_path: Path):
    folder = write_disorder_tables(tmp_path, features=PARCELS)
    blocks = disorder_section(read_group_inputs(folder)).blocks
    (figure,) = [b for b in blocks if isinstance(b, Figure) and "Where in the brain" in b.title]
    assert "at the places of 12 parcels; all rows have one scale (d, to 0.60)" in figure.reading
    assert figure.source.startswith("data:image/png;base64,")


def test_a_combat_of_another_run_is_told(tmp_path: Path):
    folder = write_disorder_tables(tmp_path)
    path = folder / "group_casecontrol.json"
    described = json.loads(path.read_text())
    levels = {"combat": "the ComBat of another run (--model-dir), applied and not fitted"}
    path.write_text(json.dumps({"arm": {**described["arm"], "Levels": levels}}))
    first = disorder_section(read_group_inputs(folder)).blocks[0]
    assert isinstance(first, Paragraph)
    assert "The ComBat is that of another run, applied and not fitted here." in first.text
