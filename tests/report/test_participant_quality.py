"""A scan's measures beside the study's: place, strip, and what stands apart."""

import base64
import re

import numpy as np
import pytest

from bids_harmonize.bids.study_measures import StudyMeasures, read_study_measures
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.report.measure_words import CHIEF_MEASURES, MEASURE_GROUPS, measure_words
from bids_harmonize.report.participant_quality import apart_words, measure_rows
from bids_harmonize.report.strips import BAD_COLOUR, MARGIN, OWN_COLOUR, WIDTH, draw_strip
from tests.bids.trees import write_derivative


def _study(values: list[float], sites: list[str | None]) -> StudyMeasures:
    stems = tuple(f"sub-{number:02d}" for number in range(len(values)))
    return StudyMeasures(stems, tuple(sites), {"snr": np.array(values)})


def _svg(uri: str) -> str:
    return base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")).decode()


def test_every_measure_has_one_heading_and_words():
    named = [name for names in MEASURE_GROUPS.values() for name in names]
    assert sorted(named) == sorted(QUALITY_MEASURES)
    assert set(CHIEF_MEASURES) < set(QUALITY_MEASURES)
    assert len({measure_words(name) for name in QUALITY_MEASURES}) == len(QUALITY_MEASURES)


def test_the_place_is_the_percentile_among_the_own_site():
    study = _study([*np.arange(10.0, 20.0), 500.0], ["A"] * 10 + ["B"])
    (row,) = measure_rows({"snr": 12.0}, "sub-02", study)["Noise and contrast"]
    assert row.place == "percentile 25 among 10 scans of A, median 14.5"
    assert not row.apart
    assert row.strip is not None
    (other,) = measure_rows({"snr": 500.0}, "sub-10", study)["Noise and contrast"]
    assert other.place == "percentile 95 among 11 scans of all sites, median 15"


def test_a_bad_value_stands_apart_and_is_told_in_words():
    values = [*np.random.default_rng(0).normal(20, 1, 30), 9.0]
    rows = measure_rows({"snr": 9.0}, "sub-30", _study(values, ["A"] * 31))
    assert rows["Noise and contrast"][0].apart
    assert apart_words(rows) == ["Stands apart from the scans it is compared with: SNR 9."]
    assert BAD_COLOUR in _svg(rows["Noise and contrast"][0].strip or "")
    usual = measure_rows({"snr": values[0]}, "sub-00", _study(values, ["A"] * 31))
    assert apart_words(usual) == []


@pytest.mark.parametrize("stem", ["sub-00", "sub-99"])
def test_the_first_scan_of_a_study_has_nothing_beside_it(stem):
    (row,) = measure_rows({"snr": 12.0}, stem, _study([12.0], ["A"]))["Noise and contrast"]
    assert (row.strip, row.place, row.apart, row.value) == (None, "", False, 12.0)


def test_unknown_values_are_neither_placed_nor_counted():
    study = _study([1.0, 2.0, np.nan, 4.0], ["A", "A", "A", None])
    rows = measure_rows({"snr": None, "cnr": 3.0}, "sub-02", study)["Noise and contrast"]
    assert [row.place for row in rows] == ["", ""]
    (row,) = measure_rows({"snr": 4.0}, "sub-03", study)["Noise and contrast"]
    assert row.place == "percentile 83 among 3 scans of all sites, median 2"


def test_the_mark_lies_where_the_value_lies():
    svg = _svg(draw_strip(30.0, [10.0, 50.0], [20.0]))
    (place,) = re.findall(r'circle cx="([\d.]+)"', svg)
    assert float(place) == pytest.approx(WIDTH / 2, abs=0.5)
    assert OWN_COLOUR in svg
    dots = [float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", svg)]
    quarter = MARGIN + (WIDTH - 2 * MARGIN) / 4
    assert sorted(dots) == pytest.approx([MARGIN, quarter, WIDTH - MARGIN], abs=0.5)


def test_ten_thousand_scans_take_no_more_room_than_the_strip_can_show():
    values = np.random.default_rng(0).normal(size=10_000)
    assert len(draw_strip(0.0, values, values)) < 12_000
    assert draw_strip(0.0, values, values) == draw_strip(0.0, values[::-1], values)
    assert "circle" in _svg(draw_strip(1.0, [1.0, 1.0], []))


def test_the_study_is_read_from_all_tables_and_a_broken_one_is_left_out(tmp_path):
    write_derivative(tmp_path, {"sub-01": "A", "sub-02_ses-1": None, "sub-03": "B"})
    (tmp_path / "sub-03/sub-03_scans.tsv").write_bytes(b"\xff\xfe no table")
    study = read_study_measures(tmp_path, ("snr", "cnr"))
    assert study.stems == ("sub-01", "sub-02_ses-1")
    assert study.sites == ("A", None)
    assert study.values["snr"].tolist() == [12.5, 12.5]
    assert np.isnan(study.values["cnr"]).all()


def test_a_scan_without_a_site_has_a_place_among_all_in_every_measure():
    names = ("air_sd", "native_i_mm", "snr")
    stems = tuple(f"sub-{n:02d}" for n in range(4))
    values = {name: np.array([1.0, 2.0, 3.0, 4.0]) for name in names}
    study = StudyMeasures(stems, (None,) * 4, values)
    rows = measure_rows(dict.fromkeys(names, 4.0), "sub-03", study)
    found = {row.name: row for own in rows.values() for row in own}
    assert set(found) == set(names)
    assert all("of all sites" in row.place and not row.apart for row in found.values())
