"""A dataset as it comes: several runs and acquisitions, kinds of files, and one slab."""

import json
from pathlib import Path

import nibabel as nb
import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.index import index_scans
from bids_harmonize.config import SelectionSettings
from bids_harmonize.preprocessing.run import run_participants
from tests.bids.nifti_files import write_nifti
from tests.preprocessing.conftest import make_head, make_run_settings, ras_affine

MOVED = ras_affine()
MOVED[2, 3] += 6.0
STEMS = {
    "sub-01_acq-mprage_run-1": ("nii.gz", np.int16, {"sform": MOVED, "qform": ras_affine()}),
    "sub-01_acq-mprage_run-2": ("nii", np.float64, {"qform": ras_affine()}),
    "sub-01_acq-spgr": ("nii.gz", np.float32, {"sform": ras_affine()}),
    "sub-02": ("nii.gz", np.uint16, {"sform": ras_affine()}),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple]]:
    folder = tmp_path_factory.mktemp("formats")
    bids_dir = folder / "bids"
    for stem, (extension, dtype, fields) in STEMS.items():
        head = make_head(ras_affine(), seed=1)
        if stem == "sub-01_acq-spgr":
            head = head[..., None] - 500  # one volume with a fourth axis, and an offset
        if stem == "sub-02":
            head = head[20:25]
        anat = bids_dir / stem.split("_")[0] / "anat"
        anat.mkdir(parents=True, exist_ok=True)
        write_nifti(anat / f"{stem}_T1w.{extension}", head.astype(dtype), **fields)
    description = {"Name": "as it comes", "BIDSVersion": "1.10.0"}
    (bids_dir / "dataset_description.json").write_text(json.dumps(description))
    outcomes = run_participants(
        index_scans(bids_dir, selection=SelectionSettings()),
        output_dir=folder / "out",
        work_dir=folder / "work",
        settings=make_run_settings(),
        run_id="run",
    )
    return folder / "out", {o.scan.stem: (o.status, o.message, o.flags) for o in outcomes}


def sidecar(output_dir: Path, stem: str) -> dict:
    path = output_dir / stem.split("_")[0] / "anat" / f"{stem}_desc-preproc_T1w.json"
    return json.loads(path.read_text())


def test_every_run_and_acquisition_is_processed_under_its_own_name(finished) -> None:
    output_dir, outcomes = finished
    images = {path.name for path in output_dir.rglob("*desc-preproc_T1w.nii.gz")}
    assert images == {f"{stem}_desc-preproc_T1w.nii.gz" for stem in list(STEMS)[:3]}
    assert [outcomes[stem][0] for stem in STEMS] == ["done", "done", "done", "failed"]
    table = pd.read_csv(output_dir / "sub-01" / "sub-01_scans.tsv", sep="\t", dtype=str)
    assert table["filename"].tolist() == [f"anat/{name}" for name in sorted(images)]


def test_the_slab_is_told_and_stops_nothing(finished) -> None:
    _, outcomes = finished
    assert (
        "5 x 54 x 52 voxels cover 20 x 216 x 208 mm, expected at least 10" in outcomes["sub-02"][1]
    )


def test_what_was_odd_reaches_sidecar_and_table(finished) -> None:
    output_dir, outcomes = finished
    first, second, third = (sidecar(output_dir, stem) for stem in list(STEMS)[:3])
    assert first["Flags"] == ["sform and qform disagree by up to 6.0 mm; the sform was taken"]
    assert list(outcomes["sub-01_acq-mprage_run-1"][2]) == first["Flags"]
    assert second["Flags"] == []
    assert third["Flags"][0].endswith(f"lifted by {third['NativeGrid']['intensity_offset']:g}")
    table = pd.read_csv(output_dir / "sub-01" / "sub-01_scans.tsv", sep="\t", dtype=str)
    assert table["flags"][0] == "sform and qform disagree by up to 6.0 mm, the sform was taken"
    keys = ("affine_source", "datatype", "orientation")
    told = [tuple(each["NativeGrid"][key] for key in keys) for each in (first, second, third)]
    assert told == [
        ("sform", "int16", "RAS"), ("qform", "float64", "RAS"), ("sform", "float32", "RAS"),
    ]  # fmt: skip
    assert [each["NativeGrid"]["intensity_offset"] for each in (first, second)] == [0, 0]


def test_the_same_head_comes_out_of_each_file(finished) -> None:
    output_dir, _ = finished
    volumes, affines = [], []
    for stem in list(STEMS)[:3]:
        image = nb.load(output_dir / "sub-01" / "anat" / f"{stem}_desc-preproc_T1w.nii.gz")
        volumes.append(np.asarray(image.dataobj))
        affines.append(image.affine)
    assert affines[0][2, 3] - affines[1][2, 3] == pytest.approx(6.0, abs=1e-3)
    np.testing.assert_allclose(affines[2], affines[1], atol=1e-3)
    for volume, within in ((volumes[0], 1.5), (volumes[2], 1.0)):  # of 900; int16 was cut
        both = (volume > 0) & (volumes[1] > 0)
        assert both.sum() > 0.999 * (volumes[1] > 0).sum()
        assert np.abs(volume - volumes[1])[both].max() < within
