"""Bias correction, brain masks of others, and tissue, from files to files.

The brain lies in a made-up head, so these tests prove the wiring; how good masks and tissue are is
measured elsewhere.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import nibabel as nb
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from bids_harmonize.bids.index import GivenMask, Scan
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_mask
from bids_harmonize.preprocessing.outcome import ScanOutcome
from bids_harmonize.preprocessing.run import run_participants
from tests.preprocessing.brains import (
    BrainyHead,
    make_brainy_head,
    write_brainy_scan,
    write_mask,
)
from tests.preprocessing.conftest import make_run_settings
from tests.preprocessing.programs import PROGRAMS, install

ANAT = Path("sub-01/anat")


@pytest.fixture(scope="module")
def head() -> BrainyHead:
    return make_brainy_head()


@pytest.fixture(scope="module")
def scan(head: BrainyHead, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return write_brainy_scan(tmp_path_factory.mktemp("raw") / "bids", head)


def _run(
    scan: Scan, output_dir: Path, derivatives: dict[str, str] | None = None, **preprocessing: Any
) -> ScanOutcome:
    selection = {"derivatives": derivatives or {}}
    settings = make_run_settings(preprocessing=preprocessing, selection=selection)
    (outcome,) = run_participants(
        [scan],
        output_dir=output_dir,
        work_dir=output_dir.with_name(f"{output_dir.name}-work"),
        settings=settings,
        run_id=f"run{time.monotonic_ns()}",
    )
    return outcome


def _sidecar(output_dir: Path, ending: str = "desc-preproc_T1w") -> dict[str, Any]:
    return json.loads((output_dir / ANAT / f"sub-01_{ending}.json").read_text())


def _load(output_dir: Path, ending: str) -> np.ndarray:
    return np.asarray(nb.load(output_dir / ANAT / f"sub-01_{ending}.nii.gz").dataobj)


def _files(output_dir: Path) -> set[str]:
    return {path.name.removeprefix("sub-01_") for path in (output_dir / ANAT).iterdir()}


@pytest.fixture(scope="module")
def plain(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scan with all defaults but the voxel size: template's brain mask and tissue."""
    output_dir = tmp_path_factory.mktemp("plain") / "out"
    outcome = _run(scan, output_dir, brain_mask="template")
    assert (outcome.status, outcome.message) == ("done", None)
    return output_dir


def test_tissue_maps_and_transform_stand_beside_the_image(plain: Path) -> None:
    names = {"label-GM_probseg", "label-WM_probseg", "label-CSF_probseg", "desc-brain_mask"}
    transform = "from-preproc_to-MNI152NLin2009aSym_mode-image_xfm"
    expected = {f"{name}.{end}" for name in names for end in ("nii.gz", "json")}
    assert expected | {f"{transform}.h5", f"{transform}.json"} <= _files(plain)
    assert all(_sidecar(plain, f"label-{t}_probseg")["SkullStripped"] for t in ("GM", "WM", "CSF"))
    work = plain.with_name("out-work")
    assert not any(path.is_file() for path in work.rglob("*"))


def test_tissue_maps_are_zero_outside_the_brain_and_add_up(plain: Path) -> None:
    brain = _load(plain, "desc-brain_mask") > 0
    maps = {name: _load(plain, f"label-{name.upper()}_probseg") for name in ("gm", "wm", "csf")}
    total = sum(maps.values())
    assert (total[~brain] == 0).all()
    assert 0.9 < total[brain].mean() <= 1 + 1e-5
    assert total.max() <= 1 + 1e-5
    told = _sidecar(plain)["TissueVolumesMl"]
    for name, values in maps.items():
        assert values.dtype == np.float32
        assert told[name] == pytest.approx(values.sum() * 0.064, rel=1e-3)
        assert _sidecar(plain, f"label-{name.upper()}_probseg")["Sources"] == [
            "bids::sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
            "bids::sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        ]
    frame = pd.read_csv(plain / "sub-01/sub-01_scans.tsv", sep="\t")
    assert frame["gm_volume_ml"][0] == pytest.approx(told["gm"])
    assert frame["brain_mask_source"][0] == "template"
    assert 0 <= frame["brain_mask_confidence"][0] <= 1
    assert 0 <= frame["head_mask_confidence"][0] <= 1


def test_the_transform_lays_the_brain_on_the_template(plain: Path) -> None:
    from bids_harmonize.atlases import load_template

    template = load_template(4.0)
    name = plain / ANAT / "sub-01_from-preproc_to-MNI152NLin2009aSym_mode-image_xfm.h5"
    transform = sitk.ReadTransform(str(name))
    assert sitk.CompositeTransform(transform).GetNumberOfTransforms() == 2
    mask = nb.load(plain / ANAT / "sub-01_desc-brain_mask.nii.gz")
    voxels = np.argwhere(template.brain_mask)[::37]
    points = nb.affines.apply_affine(template.affine, voxels) * [-1, -1, 1]
    there = np.array([transform.TransformPoint(point.tolist()) for point in points]) * [-1, -1, 1]
    at = np.rint(nb.affines.apply_affine(np.linalg.inv(mask.affine), there)).astype(int)
    assert np.asarray(mask.dataobj)[tuple(at.T)].mean() > 0.9


def test_without_tissue_the_transform_is_affine_and_the_rest_is_equal(
    scan: Scan, plain: Path, tmp_path: Path
) -> None:
    assert _run(scan, tmp_path / "out", brain_mask="template", tissue=False).status == "done"
    assert not any("probseg" in name for name in _files(tmp_path / "out"))
    name = "sub-01_from-preproc_to-MNI152NLin2009aSym_mode-image_xfm.h5"
    transform = sitk.ReadTransform(str(tmp_path / "out" / ANAT / name))
    assert sitk.CompositeTransform(transform).GetNumberOfTransforms() == 1
    assert "TissueSkipped" not in _sidecar(tmp_path / "out")
    for ending in ("desc-preproc_T1w.nii.gz", "desc-brain_mask.nii.gz"):
        first, second = (
            folder / ANAT / f"sub-01_{ending}" for folder in (plain, tmp_path / "out")
        )
        assert first.read_bytes() == second.read_bytes()


def test_without_a_brain_mask_there_is_no_tissue_and_the_sidecar_says_so(
    scan: Scan, tmp_path: Path
) -> None:
    assert _run(scan, tmp_path / "out", brain_mask="none").status == "done"
    sidecar = _sidecar(tmp_path / "out")
    assert sidecar["TissueSkipped"] == "no brain mask (--brain-mask none)"
    assert (sidecar["BrainMaskSource"], sidecar["BrainMaskDoubtful"]) == (None, False)
    assert not any("probseg" in name for name in _files(tmp_path / "out"))
    assert _run(scan, tmp_path / "out", brain_mask="none", tissue=False).status == "reused"


def _field_written(output_dir: Path, plain_image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The field and the head; corrected x field is the uncorrected image."""
    field = _load(output_dir, "desc-biasField_statmap")
    head = _load(output_dir, "desc-head_mask") > 0
    corrected = _load(output_dir, "desc-preproc_T1w")
    assert (field[~head] == 0).all()
    assert (corrected[~head] == 0).all()
    assert (field[head] > 0).all()
    np.testing.assert_allclose(corrected * field, plain_image, rtol=1e-5, atol=1e-3)
    return field, head


def test_n4_finds_a_strong_coil_field(head: BrainyHead, tmp_path: Path) -> None:
    shape = head.volume.shape
    j, k = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[2]), indexing="ij")
    truth = np.exp(0.8 * j - 0.6 * k + 0.4 * k**2)[None].astype(np.float32)
    biased = dataclasses.replace(head, volume=head.volume * truth)
    scan = write_brainy_scan(tmp_path / "bids", biased)
    assert _run(scan, tmp_path / "none").status == "done"
    assert _run(scan, tmp_path / "n4", bias_correction="n4").status == "done"
    field, mask = _field_written(tmp_path / "n4", _load(tmp_path / "none", "desc-preproc_T1w"))
    image = nb.load(tmp_path / "n4" / ANAT / "sub-01_desc-biasField_statmap.nii.gz")
    places = nb.affines.apply_affine(np.linalg.inv(head.affine) @ image.affine, np.argwhere(mask))
    at = np.clip(np.rint(places).astype(int), 0, np.array(shape) - 1)
    true_log = np.log(np.broadcast_to(truth, shape)[tuple(at.T)])
    assert np.ptp(true_log) > 1.5  # strong: a factor of more than 4
    found_log, brain = np.log(field[mask]), head.brain[tuple(at.T)]
    assert np.corrcoef(true_log[brain], found_log[brain])[0, 1] > 0.93
    assert np.corrcoef(true_log, found_log)[0, 1] > 0.85  # thick dark skull, bright scalp
    sidecar = _sidecar(tmp_path / "n4")
    assert sidecar["BiasCorrection"] == "n4"
    assert sidecar["BiasFieldRange"][0] < 0.8
    assert sidecar["BiasFieldRange"][1] > 1.2
    assert _sidecar(tmp_path / "none")["BiasCorrection"] == "none"
    told = _sidecar(tmp_path / "n4", "desc-biasField_statmap")
    assert "x field" in told["Description"]
    assert told["SkullStripped"] is False


def test_ants_takes_out_the_field_that_its_program_finds(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "N4BiasFieldCorrection"
    install(tmp_path / "bin", monkeypatch, **{name: PROGRAMS[name]})
    assert _run(scan, tmp_path / "none").status == "done"
    outcome = _run(scan, tmp_path / "ants", bias_correction="ants")
    assert (outcome.status, outcome.message) == ("done", None)
    field, mask = _field_written(tmp_path / "ants", _load(tmp_path / "none", "desc-preproc_T1w"))
    ramp = np.linspace(-0.3, 0.3, field.shape[1])[None, :, None]
    offset = (np.log(np.where(mask, field, 1)) - ramp)[mask]
    assert offset.std() < 1e-5
    assert _sidecar(tmp_path / "ants")["BiasCorrection"] == "ants"
    assert not any(path.is_file() for path in (tmp_path / "ants-work").rglob("*"))


@pytest.mark.parametrize(
    ("method", "program"),
    [pytest.param("bet", "bet", marks=pytest.mark.slow), ("synthstrip", "mri_synthstrip")],
)
def test_the_mask_of_another_program_is_brought_to_the_study_grid(
    scan: Scan,
    head: BrainyHead,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    program: str,
) -> None:
    truth = write_mask(tmp_path / "truth.nii.gz", head.brain, head.affine)
    monkeypatch.setenv("FAKE_BRAIN", str(truth))
    install(tmp_path / "bin", monkeypatch, **{program: PROGRAMS[program]})
    outcome = _run(scan, tmp_path / "out", brain_mask=method, tissue=False)
    assert (outcome.status, outcome.message, outcome.doubtful) == ("done", None, ())
    image = nb.load(tmp_path / "out" / ANAT / "sub-01_desc-brain_mask.nii.gz")
    grid = Grid(shape=image.shape, affine=image.affine)
    expected = resample_mask(head.brain, head.affine, grid)
    assert expected.sum() > 20_000
    np.testing.assert_array_equal(np.asarray(image.dataobj) > 0, expected)
    sidecar = _sidecar(tmp_path / "out")
    assert sidecar["BrainMaskSource"] == method
    assert 0.9 < sidecar["BrainMaskConfidence"] <= 1
    assert sidecar["Flags"] == []


def test_a_program_that_fails_is_told_as_the_scans_failure(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch, mri_synthstrip="sys.exit('no model file')\n")
    outcome = _run(scan, tmp_path / "out", brain_mask="synthstrip", tissue=False)
    assert outcome.status == "failed"
    assert "mri_synthstrip failed (return code 1); its last words: no model file" in str(
        outcome.message
    )


def _given(scan: Scan, path: Path, lacks: tuple[str, ...] = ()) -> Scan:
    mask = GivenMask(path, "smriprep", path.parents[2], lacks)
    return dataclasses.replace(scan, given_mask=mask)


def test_a_given_mask_wins_and_its_content_decides_on_reuse(
    scan: Scan, head: BrainyHead, tmp_path: Path
) -> None:
    path = tmp_path / "smriprep" / ANAT / "sub-01_desc-brain_mask.nii.gz"
    given = _given(scan, write_mask(path, head.brain, head.affine), lacks=("sub",))
    told = {"smriprep": str(tmp_path / "smriprep")}
    wanted = {"brain_mask": "none", "tissue": False}
    outcome = _run(given, tmp_path / "out", told, **wanted)
    assert (outcome.status, outcome.message, outcome.doubtful) == ("done", None, ())
    sidecar = _sidecar(tmp_path / "out")
    assert sidecar["BrainMaskSource"] == "derivative:smriprep"
    assert sidecar["BrainMaskConfidence"] > 0.9
    assert sidecar["Flags"] == [
        "the brain mask of smriprep names no sub-01: made from an average?"
    ]
    assert _sidecar(tmp_path / "out", "desc-brain_mask")["Sources"] == [
        "bids::sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
        "bids:smriprep:sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    ]
    assert _run(given, tmp_path / "out", told, **wanted).status == "reused"
    elsewhere = np.zeros(head.brain.shape, np.bool_)
    elsewhere[2:14, 2:14, 2:14] = True
    write_mask(path, elsewhere, head.affine)
    again = _run(given, tmp_path / "out", told, **wanted)
    assert (again.status, again.doubtful) == ("done", ("brain",))
    assert any("lies elsewhere than the brain" in flag for flag in again.flags)
    refused, mask = _sidecar(tmp_path / "out"), _sidecar(tmp_path / "out", "desc-brain_mask")
    assert refused["BrainMaskSource"] == "template"
    assert len(refused["BrainMaskSha256"]) == 64
    assert mask["Sources"] == ["bids::sub-01/anat/sub-01_desc-preproc_T1w.nii.gz"]
    assert mask["Description"] == "Brain without skull, found with the template."
    assert _load(tmp_path / "out", "desc-brain_mask").sum() > 0.9 * head.brain.sum()


def test_a_scan_without_a_given_mask_says_where_its_own_comes_from(
    scan: Scan, tmp_path: Path
) -> None:
    _run(scan, tmp_path / "out", {"smriprep": "/data/smriprep"}, brain_mask="none")
    assert _sidecar(tmp_path / "out")["Flags"] == ["no brain mask in smriprep; brain mask: none"]


def test_of_a_skull_stripped_image_head_and_brain_are_one(
    head: BrainyHead, tmp_path: Path
) -> None:
    alone = dataclasses.replace(head, volume=np.where(head.brain, head.volume, 0))
    scan = write_brainy_scan(tmp_path / "bids", alone)
    assert _run(scan, tmp_path / "out", brain_mask="bet", tissue=False).status == "done"
    sidecar = _sidecar(tmp_path / "out", "desc-head_mask")
    assert sidecar["HeadIsBrain"]
    assert "head = brain" in sidecar["Description"]
    assert _sidecar(tmp_path / "out")["BrainMaskSource"] == "input"
    head_mask, brain_mask = (_load(tmp_path / "out", f"desc-{m}_mask") for m in ("head", "brain"))
    np.testing.assert_array_equal(head_mask, brain_mask)
