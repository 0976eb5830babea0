import json

import pytest

from bids_harmonize.bids.sidecars import read_sidecar
from bids_harmonize.errors import ScanError
from tests.bids.trees import write_raw


def put(path, **content):
    path.write_text(json.dumps(content))


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", ["sub-01_ses-A_run-1"])


def image_of(raw):
    return raw / "sub-01/ses-A/anat/sub-01_ses-A_run-1_T1w.nii.gz"


def test_the_nearest_sidecar_wins_key_by_key(raw):
    put(raw / "T1w.json", a=1, b=1, c=1)
    put(raw / "sub-01/sub-01_T1w.json", b=2, c=2)
    put(image_of(raw).with_name("sub-01_ses-A_run-1_T1w.json"), c=3)
    assert read_sidecar(image_of(raw)) == {"a": 1, "b": 2, "c": 3}


def test_of_two_in_one_folder_the_more_exact_wins(raw):
    put(raw / "T1w.json", a=1)
    put(raw / "ses-A_T1w.json", a=2)
    assert read_sidecar(image_of(raw)) == {"a": 2}


def test_sidecars_of_other_images_do_not_apply(raw):
    put(raw / "run-2_T1w.json", a=1)
    put(raw / "T2w.json", a=1)
    put(raw / "sub-01/ses-A/anat/sub-01_ses-A_acq-x_run-1_T1w.json", a=1)
    put(raw.parent / "T1w.json", a=1)
    assert read_sidecar(image_of(raw)) == {}


def test_a_sidecar_that_is_no_json_is_named(raw):
    (raw / "T1w.json").write_text("{,}")
    with pytest.raises(ScanError, match=r"T1w\.json: not readable as JSON"):
        read_sidecar(image_of(raw))
