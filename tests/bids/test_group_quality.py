import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student_t

from bids_harmonize.bids.group_quality import write_group_quality
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import MissingInputError
from tests.bids.trees import MEASURES, write_derivative

MANY = {
    "snr": {"Description": "Signal to noise.", "Direction": "higher"},
    "cjv": {"Description": "Joint variation.", "Direction": "lower"},
    "native_i_mm": {"Description": "Voxel size.", "Direction": "neutral"},
    "note": {"Description": "A number that is no measure."},
}


def _write_study(output_dir: Path) -> None:
    """Two sites of 20 scans, one of 1; sub-A03 is bad, sub-B04 has other voxels."""
    rng = np.random.default_rng(0)
    rows = {}
    for site, n, level in (("A", 20, 10.0), ("B", 20, 20.0), ("C", 1, 15.0)):
        for number in range(n):
            rows[f"sub-{site}{number:02d}"] = {
                "site": site, "snr": rng.normal(level, 0.5), "cjv": rng.normal(0.5, 0.02),
                "native_i_mm": 1.0, "note": number,
            }  # fmt: skip
    rows["sub-A03"] |= {"snr": 6.0, "cjv": 0.9}
    rows["sub-A04"]["snr"] = 16.0  # better than the others is no fault
    rows["sub-B04"] |= {"native_i_mm": 1.2, "snr": None}
    write_scan_rows(output_dir, rows, measures=MANY)


def test_quality_of_all_scans_is_gathered(tmp_path):
    write_derivative(tmp_path, {"sub-01": "A", "sub-02_ses-1": None})
    path = write_group_quality(tmp_path)
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[0][:5] == ["filename", "participant_id", "session_id", "site", "site_source"]
    assert [line[3] for line in lines[1:]] == ["A", "n/a"]
    assert lines[2][0] == "sub-02/ses-1/anat/sub-02_ses-1_desc-preproc_T1w.nii.gz"
    assert json.loads(path.with_suffix(".json").read_text())["snr"] == MEASURES["snr"]


def test_outliers_are_named_beside_their_scan(tmp_path):
    _write_study(tmp_path)
    table = read_tsv(write_group_quality(tmp_path)).set_index("participant_id")
    assert table["outlier"].dropna().to_dict() == {
        "sub-A03": "snr, cjv",
        "sub-B04": "native_i_mm",
    }
    assert table.loc["sub-A03", "n_outlying_measures"] == "2"
    assert (table["n_outlying_measures"] == "0").sum() == 39


def test_the_threshold_stands_in_the_sidecar(tmp_path):
    _write_study(tmp_path)
    sidecar = json.loads(write_group_quality(tmp_path).with_suffix(".json").read_text())
    for words, threshold in sidecar["outlier"]["Threshold"].items():
        n = int(words.split()[0])
        assert threshold == pytest.approx(student_t.ppf(0.999, 0.45 * (n - 1)), abs=0.01)
    assert list(sidecar["outlier"]["Threshold"]) == [f"{n} scans" for n in (8, 12, 20, 50, 200)]
    assert "0.001" in sidecar["outlier"]["ThresholdDescription"]


def test_a_single_scan_has_no_outliers(tmp_path):
    write_derivative(tmp_path, {"sub-01": "A"})
    table = read_tsv(write_group_quality(tmp_path))
    assert table["n_outlying_measures"].tolist() == ["0"]


def test_sites_of_the_group_level_win_and_volumes_are_no_measures(tmp_path):
    _write_study(tmp_path)
    stems = [f"sub-{site}{n:02d}" for site in "AB" for n in range(20)]
    rows = {stem: {"gm_volume_ml": 600.0 + 10 * n} for n, stem in enumerate(stems)}
    rows["sub-A05"]["gm_volume_ml"] = 9999.0
    other = tmp_path / "other"
    write_scan_rows(other, {s: {"site": "A", **row} for s, row in rows.items()}, measures=MANY)
    assert read_tsv(write_group_quality(other))["outlier"].isna().all()
    mapped = {"sub-A03": ("Z", "--site-map")}
    table = read_tsv(write_group_quality(tmp_path, sites=mapped)).set_index("participant_id")
    assert table.loc["sub-A03", ["site", "site_source"]].tolist() == ["Z", "--site-map"]
    assert table.loc["sub-A02", "site"] == "A"


def test_there_is_nothing_to_gather_in_an_empty_folder(tmp_path):
    with pytest.raises(MissingInputError):
        write_group_quality(tmp_path)
