import json

import pytest

from bids_harmonize.bids.brain_masks import attach_brain_masks
from bids_harmonize.bids.index import index_scans
from bids_harmonize.config import SelectionSettings
from bids_harmonize.errors import InvalidDatasetError, UnusableDataError
from tests.bids.trees import write_raw

STEMS = (
    "sub-01_ses-A_acq-x_run-1",
    "sub-01_ses-A_acq-x_run-2",
    "sub-01_ses-B",
    "sub-02",
)


@pytest.fixture
def scans(tmp_path):
    return index_scans(write_raw(tmp_path / "raw", STEMS), selection=SelectionSettings())


@pytest.fixture
def prep(tmp_path):
    root = tmp_path / "prep"
    root.mkdir()
    description = {"Name": "prep", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root


def put(root, *names):
    for name in names:
        parts = name.split("_")
        session = parts[1] if parts[1].startswith("ses-") else ""
        path = root / parts[0] / session / "anat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(scans, **roots):
    masks = {scan.stem: scan.given_mask for scan in attach_brain_masks(scans, roots)}
    return {stem: mask and mask.path.name for stem, mask in masks.items()}


def test_the_mask_of_the_same_name_is_taken_and_other_spaces_are_not(scans, prep):
    put(
        prep,
        "sub-02_desc-brain_mask.nii.gz",
        "sub-02_space-MNI152NLin2009cAsym_res-2_desc-brain_mask.nii.gz",
        "sub-02_acq-y_desc-brain_mask.nii.gz",
        "sub-02_desc-aseg_dseg.nii.gz",
        "sub-01_ses-B_desc-brain_mask.nii",
    )
    assert found(scans, prep=prep) == {
        STEMS[0]: None,
        STEMS[1]: None,
        "sub-01_ses-B": "sub-01_ses-B_desc-brain_mask.nii",
        "sub-02": "sub-02_desc-brain_mask.nii.gz",
    }


def test_the_most_specific_mask_wins_and_what_its_name_lacks_is_told(scans, prep):
    put(
        prep,
        "sub-01_desc-brain_mask.nii.gz",
        "sub-01_ses-A_acq-x_desc-brain_mask.nii.gz",
        "sub-01_ses-A_acq-x_run-2_desc-brain_mask.nii.gz",
    )
    masks = {scan.stem: scan.given_mask for scan in attach_brain_masks(scans, {"prep": prep})}
    assert masks[STEMS[0]].path.name == "sub-01_ses-A_acq-x_desc-brain_mask.nii.gz"
    assert masks[STEMS[0]].lacks == ("run",)
    assert masks[STEMS[1]].lacks == ()
    assert masks["sub-01_ses-B"].path.name == "sub-01_desc-brain_mask.nii.gz"
    assert masks["sub-01_ses-B"].lacks == ("ses",)
    assert masks["sub-02"] is None
    assert (masks[STEMS[0]].name, masks[STEMS[0]].root) == ("prep", prep)


def test_the_dataset_named_first_wins(scans, prep, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset_description.json").write_text(
        json.dumps({"Name": "old", "PipelineDescription": {"Name": "fmriprep"}})
    )
    put(prep, "sub-02_desc-brain_mask.nii.gz")
    put(other, "sub-02_desc-brain_mask.nii.gz", "sub-01_ses-B_desc-brain_mask.nii.gz")
    masks = {s.stem: s.given_mask for s in attach_brain_masks(scans, {"a": prep, "b": other})}
    assert masks["sub-02"].name == "a"
    assert masks["sub-01_ses-B"].name == "b"


def test_several_masks_that_fit_equally_well_are_all_listed(scans, prep):
    put(
        prep,
        "sub-01_ses-A_acq-x_desc-brain_mask.nii.gz",
        "sub-01_ses-A_run-1_desc-brain_mask.nii.gz",
        "sub-02_desc-brain_mask.nii.gz",
        "sub-02_desc-brain_mask.nii",
    )
    with pytest.raises(UnusableDataError) as raised:
        attach_brain_masks(scans, {"prep": prep})
    text = str(raised.value)
    assert "sub-01_ses-A_acq-x_run-1, -d prep: " in text
    assert "sub-01/ses-A/anat/sub-01_ses-A_run-1_desc-brain_mask.nii.gz" in text
    assert "sub-02/anat/sub-02_desc-brain_mask.nii, " in text
    assert "run-2" not in text  # only one mask fits it


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no dataset_description.json"),
        ({"Name": "x", "DatasetType": "raw"}, "does not say DatasetType 'derivative'"),
        ({"Name": "x"}, "does not say DatasetType 'derivative'"),
    ],
)
def test_a_folder_that_is_no_derivative_is_refused(scans, tmp_path, content, words):
    root = tmp_path / "folder"
    root.mkdir()
    if content is not None:
        (root / "dataset_description.json").write_text(json.dumps(content))
    with pytest.raises(InvalidDatasetError, match=words):
        attach_brain_masks(scans, {"prep": root})


def test_a_broken_description_is_named(scans, prep):
    (prep / "dataset_description.json").write_text("{")
    with pytest.raises(InvalidDatasetError, match="not readable as JSON"):
        attach_brain_masks(scans, {"prep": prep})
