from datetime import datetime
from pathlib import Path

import pytest

from bids_harmonize.bids.provenance import bids_uri, file_sha256, make_run_id
from bids_harmonize.errors import ScanError


def test_runs_of_the_same_second_have_different_names_that_sort_by_time():
    names = {make_run_id(datetime(2026, 1, 2, 3, 4, 5)) for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("20260102T030405_") for name in names)


def test_the_digest_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(ScanError, match="cannot be read"):
        file_sha256(tmp_path / "b")


def test_uris_name_the_dataset_and_the_file():
    root = Path("/data/raw")
    assert bids_uri(root / "sub-01/anat/x.nii", root, name="raw") == "bids:raw:sub-01/anat/x.nii"
