"""Who is recognised: people of known shapes, and methods that keep, blur or erase them."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.names import scan_output
from bids_harmonize.stages.evaluation import portraits as portraits_module
from bids_harmonize.stages.evaluation.comparison import AGREEMENT, DIRECT
from bids_harmonize.stages.evaluation.pairs import plan_pairs, read_scan_images
from bids_harmonize.stages.evaluation.portraits import Portraits
from bids_harmonize.stages.evaluation.reidentification import (
    REIDENTIFICATION_COLUMNS,
    recognition,
    reidentification_table,
)
from bids_harmonize.stages.evaluation.travelling import Method, score_travelling
from tests.stages.small_study import write_small_study, write_template_transforms

N_PER_SITE, N_TRAVEL = 5, 4


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = write_small_study(
        tmp_path_factory.mktemp("study"),
        sites=("A", "B", "C"),
        n_per_site=N_PER_SITE,
        n_travelling=N_TRAVEL,
    )
    write_template_transforms(made)
    return made


@pytest.fixture(scope="module")
def rows(study, tmp_path_factory):
    """Nothing done, another gain, the target site's mean image, and one person's for all."""
    everybody = [read_scan_images(scan).volume for scan in study.of_site("A")]
    mean = np.mean(everybody, axis=0)
    first = read_scan_images(study.of_site("A")[-1]).volume
    methods = [
        Method("identity", lambda images, to_site: images.volume),
        Method("mean", lambda images, to_site: mean),
        Method("gain", lambda images, to_site: 3 * images.volume + 5),
        Method("impostor", lambda images, to_site: first),
    ]
    portraits = Portraits(study)
    work_dir = tmp_path_factory.mktemp("work")
    score_travelling(study, methods, levels={}, work_dir=work_dir, watch=portraits.add)
    return portraits.recognise(kind=DIRECT)


def row_of(rows, method, source="B"):
    table = reidentification_table(rows)
    return table[(table["method"] == method) & (table["source_site"] == source)].iloc[0]


def test_people_are_found_among_all_who_were_scanned_at_the_target(rows):
    table = reidentification_table(rows)
    assert tuple(table.columns) == REIDENTIFICATION_COLUMNS
    assert set(table["target_site"]) == {"A"}
    own = row_of(rows, "identity")
    assert (own["n"], own["gallery"]) == (N_TRAVEL, N_TRAVEL + N_PER_SITE)
    assert own["rank1"] == own["nearer"] == 1.0
    assert own["within"] < 0.6 * own["between"]
    assert (own["low"], own["high"]) == pytest.approx((0.510, 1.0), abs=1e-3)


def test_a_change_of_gain_changes_no_distance(rows):
    raw, made = (row_of(rows, name) for name in ("identity", "gain"))
    assert made["within"] == pytest.approx(raw["within"], abs=1e-5)
    assert made["rank1"] == 1.0


def test_the_mean_of_the_target_site_makes_nobody_recognisable(rows):
    own = row_of(rows, "mean")
    assert own["rank1"] <= 1 / N_TRAVEL
    assert own["nearer"] == pytest.approx(0.5, abs=0.35)
    found = recognition(rows, "mean")
    assert found is not None
    assert found.before == N_TRAVEL
    assert found.lost >= N_TRAVEL - 1
    assert found.interval[0] < 1 / found.gallery


def test_one_image_for_everybody_is_one_person(rows):
    assert row_of(rows, "impostor")["rank1"] <= 1 / N_TRAVEL


def test_the_ceiling_is_the_second_scan_at_the_target(rows):
    own = row_of(rows, "ceiling", source="A")
    assert (own["n"], own["rank1"]) == (N_TRAVEL, 1.0)
    assert own["within"] < row_of(rows, "identity")["within"]


def test_without_real_scans_people_are_looked_for_at_another_source_site(study):
    portraits = Portraits(study)
    for pair in plan_pairs(study):
        if pair.kind == AGREEMENT:
            for scan in (pair.moving, pair.fixed):
                images = read_scan_images(scan)
                portraits.add("identity", images, "A", images.volume)
    (own,) = reidentification_table(portraits.recognise(kind=AGREEMENT)).to_dict("records")
    assert (own["source_site"], own["target_site"]) == ("B", "C")
    assert (own["n"], own["gallery"], own["rank1"]) == (N_TRAVEL, N_TRAVEL, 1.0)


def test_others_beyond_the_most_are_not_looked_through(study, monkeypatch):
    monkeypatch.setattr(portraits_module, "MOST_OTHERS", 2)
    portraits = Portraits(study)
    for scan in study.of_site("B"):
        images = read_scan_images(scan)
        portraits.add("identity", images, "A", images.volume)
    rows = portraits.recognise(kind=DIRECT)
    assert set(rows["gallery"]) == {N_TRAVEL + 2}


def test_a_scan_without_a_way_to_the_template_is_passed_over(study, tmp_path):
    bare = write_small_study(tmp_path, n_per_site=2)
    portraits = Portraits(bare)
    for scan in bare.scans:
        images = read_scan_images(scan)
        portraits.add("identity", images, "A", images.volume)
    found = portraits.recognise(kind=DIRECT)
    assert found.empty
    assert recognition(found, "identity") is None
    assert not scan_output(tmp_path, bare.scans[0], "xfm_preproc_to_template").exists()


def test_shares_over_source_sites_add_up():
    rows = pd.DataFrame(
        [
            {"method": method, "source_site": site, "participant_id": person, "gallery": 9,
             "found": found}
            for method, site, person, found in [
                ("identity", "B", "sub-1", 1.0), ("identity", "C", "sub-1", 1.0),
                ("identity", "B", "sub-2", 0.0), ("identity", "C", "sub-2", 1.0),
                ("cyclegan", "B", "sub-1", 0.0), ("cyclegan", "C", "sub-1", 1.0),
                ("cyclegan", "B", "sub-2", 1.0), ("cyclegan", "C", "sub-2", 1.0),
            ]
        ]
    )  # fmt: skip
    found = recognition(rows, "cyclegan")
    assert found is not None
    assert (found.before, found.after, found.gained, found.lost) == (1.5, 1.5, 0.5, 0.5)
    assert (found.n, found.gallery) == (2, 9)
