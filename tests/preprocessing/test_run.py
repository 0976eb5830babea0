"""The participant level from files to files."""

import json
from pathlib import Path

import nibabel as nb
import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.preprocessing.run import run_participants
from tests.preprocessing.conftest import (
    CENTRE_MM,
    SHAPE,
    make_run_settings,
    ras_affine,
    run_scans,
    states,
    write_scan,
)


def test_every_scan_leaves_its_outputs_and_nothing_else(
    study: tuple[tuple[Scan, ...], Path],
) -> None:
    _, output_dir = study
    endings = (
        "desc-head_mask.json",
        "desc-head_mask.nii.gz",
        "desc-preproc_T1w.json",
        "desc-preproc_T1w.nii.gz",
        "from-orig_to-preproc_mode-image_xfm.json",
        "from-orig_to-preproc_mode-image_xfm.txt",
    )
    first = [
        f"sub-01/ses-A/anat/sub-01_ses-A_run-{run}_{end}" for run in (1, 2) for end in endings
    ]
    second = [f"sub-02/anat/sub-02_{ending}" for ending in endings]
    tables = [f"sub-01/ses-A/sub-01_ses-A_scans.{end}" for end in ("json", "tsv")]
    tables += [f"sub-02/sub-02_scans.{end}" for end in ("json", "tsv")]
    found = [
        path.relative_to(output_dir).as_posix()
        for path in output_dir.rglob("*")
        if path.is_file() and not {"log", "logs"} & set(path.parts)
    ]
    assert sorted(found) == sorted([*first, *second, *tables])
    work_dir = output_dir.with_name("out-work")
    assert not any(path.is_file() for path in work_dir.rglob("*"))


def test_the_image_keeps_its_units_and_is_exactly_zero_outside_the_head(
    study: tuple[tuple[Scan, ...], Path],
) -> None:
    anat = study[1] / "sub-02" / "anat"
    image = nb.load(anat / "sub-02_desc-preproc_T1w.nii.gz")
    mask = np.asarray(nb.load(anat / "sub-02_desc-head_mask.nii.gz").dataobj) > 0
    volume = np.asarray(image.dataobj)
    assert image.shape == (48, 56, 48)
    assert image.get_data_dtype() == np.float32
    assert (volume[~mask] == 0).all()
    assert np.percentile(volume[mask], 75) == pytest.approx(900, abs=25)
    assert mask.sum() * 64 / 1e6 == pytest.approx(2.7, abs=0.3)  # litres of the ellipsoid


def test_the_head_stays_where_it_was_in_the_world_however_it_was_stored(tmp_path: Path) -> None:
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0])
    swapped = np.eye(4)[:, [1, 0, 2, 3]]
    oblique = np.eye(4)
    oblique[:2, :2] = [[0.97, -0.243], [0.243, 0.97]]
    middle = (np.array(SHAPE) - 1) / 2
    scans = []
    for number, change in enumerate((mirrored, swapped, oblique)):
        affine = ras_affine() @ change
        affine[:3, 3] = CENTRE_MM - affine[:3, :3] @ middle
        scans.append(write_scan(tmp_path / "bids", f"sub-{number}", seed=4, affine=affine))
    run_scans(tuple(scans), tmp_path / "out", make_run_settings())
    for path in sorted((tmp_path / "out").rglob("*T1w.nii.gz")):
        image = nb.load(path)
        bright = np.argwhere(np.asarray(image.dataobj) > 700)
        centre = nb.affines.apply_affine(image.affine, bright).mean(axis=0)
        np.testing.assert_allclose(centre, CENTRE_MM, atol=1.0)
        assert nb.aff2axcodes(image.affine) == ("R", "A", "S")


def test_several_processes_give_the_same_bytes_as_one(
    study: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    scans, output_dir = study
    settings = make_run_settings(resources={"nprocs": 2})
    assert states(scans[:2], tmp_path / "two", settings) == ["done", "done"]
    images = sorted((tmp_path / "two").rglob("*.nii.gz"))
    assert len(images) == 4
    for path in images:
        assert path.read_bytes() == (output_dir / path.relative_to(tmp_path / "two")).read_bytes()


def test_equal_input_gives_equal_bytes_whoever_runs_it(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    scans, output_dir = finished
    assert states(scans[2:], tmp_path / "other", make_run_settings()) == ["done"]
    anat = sorted((tmp_path / "other/sub-02/anat").iterdir())
    assert len(anat) == 6
    for path in (*anat, tmp_path / "other/sub-02/sub-02_scans.tsv"):
        same = output_dir / path.relative_to(tmp_path / "other")
        assert path.read_bytes() == same.read_bytes(), path.name


def test_two_outputs_can_share_a_work_directory(scans: tuple[Scan, ...], tmp_path: Path) -> None:
    work_dir, made = tmp_path / "work", {}
    for name, seed in (("one", 1), ("two", 5)):
        scan = write_scan(tmp_path / name, "sub-01_ses-A", seed=seed)
        run_participants(
            (scan,),
            output_dir=tmp_path / f"out-{name}",
            work_dir=work_dir,
            settings=make_run_settings(),
            run_id=name,
        )
        (image,) = (tmp_path / f"out-{name}").rglob("*_desc-preproc_T1w.nii.gz")
        made[name] = image.read_bytes()
    assert made["one"] != made["two"]
    assert len(list((work_dir / "participant").iterdir())) == 2


def test_the_table_has_one_row_a_scan_of_the_session(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    run_scans(scans[1:2], output_dir, make_run_settings())
    frame = pd.read_csv(output_dir / "sub-01/ses-A/sub-01_ses-A_scans.tsv", sep="\t", dtype=str)
    assert frame["filename"].tolist() == [
        f"anat/sub-01_ses-A_run-{run}_desc-preproc_T1w.nii.gz" for run in (1, 2)
    ]
    assert frame["site"].tolist() == ["Site A", "Site A"]
    assert frame["brain_mask_doubtful"].tolist() == ["false", "false"]
    assert frame["input_sha256"].nunique() == 2


def test_the_sidecar_says_where_the_image_comes_from(
    study: tuple[tuple[Scan, ...], Path],
) -> None:
    path = study[1] / "sub-02/anat/sub-02_desc-preproc_T1w.json"
    sidecar = json.loads(path.read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-02/anat/sub-02_T1w.nii.gz"]
    assert sidecar["MagneticFieldStrength"] == 3
    assert sidecar["SkullStripped"] is False
    assert sidecar["NativeGrid"]["voxel_size_mm"] == [4.0, 4.0, 4.0]
    mask = json.loads(path.with_name("sub-02_desc-head_mask.json").read_text())
    assert mask["Type"] == "ROI"


def test_every_measure_has_a_value_or_is_known_to_be_missing(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    """The made-up head lies in Rayleigh noise of 20; no brain mask is made here."""
    scans, output_dir = finished
    row = scan_row(output_dir, scans[0].stem)
    assert row is not None
    assert set(QUALITY_MEASURES) < set(row.cells)
    quality = row.quality()
    assert quality["air_sd"] == pytest.approx(20 * 0.6551, rel=0.04)
    middle = 900 - 0.915 * 20  # the rim is darker: the 18th percentile of the inside
    assert quality["fber"] == pytest.approx(middle**2 / (2 * np.log(2) * 20**2), rel=0.01)
    assert quality["qi1"] == 0.0
    assert quality["native_i_mm"] == 4.0
    assert quality["obliqueness_deg"] == pytest.approx(0.0, abs=1e-3)
    assert "snr" not in quality
    assert (row.cells["native_shape"], row.cells["native_orientation"]) == ("44x54x52", "RAS")


def test_the_grid_has_the_voxels_and_the_shape_that_were_asked_for(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    settings = make_run_settings(preprocessing={"resolution_mm": 6.0, "grid_shape": [32, 40, 32]})
    run_scans(scans[:1], tmp_path / "out", settings)
    image = nb.load(scan_output(tmp_path / "out", scans[0].stem, "preproc"))
    assert image.shape == (32, 40, 32)
    assert np.allclose(image.header.get_zooms(), 6.0)
