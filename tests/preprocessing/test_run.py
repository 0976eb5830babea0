"""The participant level from files to files."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nb
import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_grid
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.config import Settings
from bids_harmonize.errors import StorageError
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.preprocessing.interfaces import ConformScan
from bids_harmonize.preprocessing.plans import forget, make_plans
from bids_harmonize.preprocessing.run import run_participants
from tests.preprocessing.conftest import (
    CENTRE_MM,
    SHAPE,
    make_run_settings,
    ras_affine,
    write_scan,
)


def _run(
    scans: tuple[Scan, ...], output_dir: Path, settings: Settings
) -> dict[str, tuple[str, str | None]]:
    outcomes = run_participants(
        scans,
        output_dir=output_dir,
        work_dir=output_dir.with_name(f"{output_dir.name}-work"),
        settings=settings,
        run_id=f"run{time.monotonic_ns()}",
    )
    return {outcome.scan.stem: (outcome.status, outcome.message) for outcome in outcomes}


def _states(scans: tuple[Scan, ...], output_dir: Path, settings: Settings) -> list[str]:
    return [status for status, _ in _run(scans, output_dir, settings).values()]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Scan, ...], Path]:
    """Raw scans and what one process made of them; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("study")
    scans = (
        write_scan(folder / "bids", "sub-01_ses-A_run-1", seed=1),
        write_scan(folder / "bids", "sub-01_ses-A_run-2", seed=2),
        write_scan(folder / "bids", "sub-02", seed=3),
    )
    assert _states(scans, folder / "out", make_run_settings()) == ["done"] * 3
    return scans, folder / "out"


@pytest.fixture
def finished(
    study: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> tuple[tuple[Scan, ...], Path]:
    """The same, free to be changed."""
    scans, output_dir = study
    shutil.copytree(output_dir, tmp_path / "out")
    return scans, tmp_path / "out"


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
    _run(tuple(scans), tmp_path / "out", make_run_settings())
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
    assert _states(scans[:2], tmp_path / "two", settings) == ["done", "done"]
    images = sorted((tmp_path / "two").rglob("*.nii.gz"))
    assert len(images) == 4
    for path in images:
        assert path.read_bytes() == (output_dir / path.relative_to(tmp_path / "two")).read_bytes()


def test_a_broken_scan_is_told_and_the_others_finish(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    path = scans[0].path
    path.write_bytes(path.read_bytes()[:5000])
    outcomes = _run(scans, tmp_path / "out", make_run_settings())
    status, message = outcomes["sub-01_ses-A"]
    assert status == "failed"
    assert "truncated" in str(message)
    assert outcomes["sub-02"] == ("done", None)
    assert not list((tmp_path / "out" / "sub-01").rglob("*sub-01_ses-A_*"))
    (crash,) = (tmp_path / "out").rglob("crash-*.txt")
    assert crash.name == "crash-sub-01_ses-A.txt"
    assert "truncated" in crash.read_text()
    assert "Traceback" in crash.read_text()


@pytest.mark.parametrize("n_procs", [1, 2])
def test_the_first_crash_stops_the_run_where_this_is_wanted(
    scans: tuple[Scan, ...], tmp_path: Path, n_procs: int
) -> None:
    scans[0].path.write_bytes(b"no image")
    settings = make_run_settings(
        run={"stop_on_first_crash": True}, resources={"nprocs": n_procs, "mem_gb": 8}
    )
    outcomes = _run(scans, tmp_path / "out", settings)
    assert [status for status, _ in outcomes.values()] == ["failed", "failed"]
    assert "not run" in str(outcomes["sub-02"][1])


def test_a_second_run_does_nothing(finished: tuple[tuple[Scan, ...], Path]) -> None:
    scans, output_dir = finished
    before = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.nii.gz")}
    assert _states(scans, output_dir, make_run_settings()) == ["reused"] * 3
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_input_or_a_lost_output_is_done_again(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    _, output_dir = finished
    scans = (
        write_scan(tmp_path / "bids", "sub-01_ses-A_run-1", seed=1),
        write_scan(tmp_path / "bids", "sub-01_ses-A_run-2", seed=2),
        write_scan(tmp_path / "bids", "sub-02", seed=9),
    )
    (output_dir / "sub-01/ses-A/anat/sub-01_ses-A_run-1_desc-head_mask.nii.gz").unlink()
    assert _states(scans, output_dir, make_run_settings()) == ["done", "reused", "done"]


@pytest.mark.parametrize("name", ["desc-head_mask.nii.gz", "desc-head_mask.json"])
def test_an_output_that_was_cut_or_changed_is_done_again(
    finished: tuple[tuple[Scan, ...], Path], name: str
) -> None:
    scans, output_dir = finished
    path = output_dir / f"sub-02/anat/sub-02_{name}"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert _states(scans[2:], output_dir, make_run_settings()) == ["done"]
    assert path.read_bytes() == whole


def test_changed_metadata_are_carried_over_without_doing_the_scan_again(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    _, output_dir = finished
    scans = (write_scan(tmp_path / "bids", "sub-02", seed=3),)
    raw = scans[0].path.with_name("sub-02_T1w.json")
    raw.write_text(json.dumps({"EchoTime": 0.003, "Flags": "theirs"}))
    image = output_dir / "sub-02/anat/sub-02_desc-preproc_T1w.nii.gz"
    before = image.stat().st_mtime_ns
    assert _states(scans, output_dir, make_run_settings()) == ["reused"]
    sidecar = json.loads(image.with_name("sub-02_desc-preproc_T1w.json").read_text())
    assert sidecar["EchoTime"] == 0.003
    assert "MagneticFieldStrength" not in sidecar
    assert sidecar["Flags"] == []
    assert image.stat().st_mtime_ns == before
    assert _states(scans, tmp_path / "anew", make_run_settings()) == ["done"]
    name = "sub-02/anat/sub-02_desc-preproc_T1w.json"
    assert (output_dir / name).read_bytes() == (tmp_path / "anew" / name).read_bytes()


def test_equal_input_gives_equal_bytes_whoever_runs_it(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    scans, output_dir = finished
    assert _states(scans[2:], tmp_path / "other", make_run_settings()) == ["done"]
    anat = sorted((tmp_path / "other/sub-02/anat").iterdir())
    assert len(anat) == 6
    for path in (*anat, tmp_path / "other/sub-02/sub-02_scans.tsv"):
        same = output_dir / path.relative_to(tmp_path / "other")
        assert path.read_bytes() == same.read_bytes(), path.name


def test_a_crash_file_stays_until_its_scan_is_done(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    whole = scans[1].path.read_bytes()
    scans[1].path.write_bytes(whole[:5000])
    output_dir = tmp_path / "out"
    assert _states(scans, output_dir, make_run_settings()) == ["done", "failed"]
    assert _states(scans, output_dir, make_run_settings()) == ["reused", "failed"]
    assert len(list(output_dir.rglob("crash-sub-02.txt"))) == 2
    scans[1].path.write_bytes(whole)
    assert _states(scans, output_dir, make_run_settings()) == ["reused", "done"]
    assert list(output_dir.rglob("crash-*.txt")) == []


def test_an_input_that_breaks_later_fails_and_what_was_made_of_it_stays(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    _, output_dir = finished
    scans = (write_scan(tmp_path / "bids", "sub-02", seed=3),)
    scans[0].path.write_bytes(scans[0].path.read_bytes()[:5000])
    assert _states(scans, output_dir, make_run_settings()) == ["failed"]
    assert (output_dir / "sub-02/anat/sub-02_desc-preproc_T1w.nii.gz").is_file()


def test_what_cannot_be_opened_fails_before_any_node_runs(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    scans[0].path.with_name("sub-01_ses-A_T1w.json").write_text("{no json")
    scans[1].path.unlink()
    scans[1].path.symlink_to(tmp_path / "annex")
    outcomes = _run(scans, tmp_path / "out", make_run_settings())
    assert "not readable as JSON" in str(outcomes["sub-01_ses-A"][1])
    assert "broken link" in str(outcomes["sub-02"][1])
    assert not list((tmp_path / "out-work").rglob("conform"))


def test_any_error_of_an_image_that_cannot_be_opened_is_its_own(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(path: Path) -> None:
        if path == scans[0].path:
            raise ArithmeticError("odd")
        return read_grid(path)

    monkeypatch.setattr("bids_harmonize.preprocessing.plans.read_grid", odd)
    outcomes = _run(scans, tmp_path / "out", make_run_settings())
    assert "unexpected ArithmeticError: odd" in str(outcomes["sub-01_ses-A"][1])
    assert outcomes["sub-02"] == ("done", None)


HOLDER = """
import sys
from pathlib import Path
from bids_harmonize.bids.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take(sys.argv[2]), flush=True)
sys.stdin.readline()
"""


def test_a_scan_that_another_run_works_on_is_left_to_it(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out"), "scan sub-02"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        outcomes = _run(scans, tmp_path / "out", make_run_settings())
        other.communicate("\n")
    assert outcomes["sub-01_ses-A"] == ("done", None)
    assert outcomes["sub-02"] == ("busy", f"another run is working on it (process {other.pid})")
    assert not (tmp_path / "out/sub-02").exists()
    assert _states(scans, tmp_path / "out", make_run_settings()) == ["reused", "done"]


def test_a_table_that_another_run_holds_costs_nothing_but_its_rows(
    finished: tuple[tuple[Scan, ...], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, output_dir = finished
    (output_dir / "sub-02/sub-02_scans.tsv").unlink()
    (output_dir / "sub-01/ses-A/sub-01_ses-A_scans.tsv").unlink()
    monkeypatch.setattr("bids_harmonize.bids.claims.WAIT_S", 0.1)
    command = [sys.executable, "-c", HOLDER, str(output_dir), "sub-01_ses-A_scans.tsv"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        outcomes = run_participants(
            scans,
            output_dir=output_dir,
            work_dir=output_dir.with_name("out-work"),
            settings=make_run_settings(),
            run_id="busy",
        )
        other.communicate("\n")
    told = [(outcome.status, outcome.busy_table) for outcome in outcomes]
    held = ("reused", "sub-01_ses-A_scans.tsv")
    assert told == [held, held, ("reused", None)]
    assert scan_row(output_dir, "sub-02") is not None
    assert scan_row(output_dir, "sub-01_ses-A_run-1") is None
    assert _states(scans, output_dir, make_run_settings()) == ["reused"] * 3
    assert scan_row(output_dir, "sub-01_ses-A_run-1") is not None


def test_what_a_killed_run_left_half_written_is_removed(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    anat = output_dir / "sub-01/ses-A/anat"
    mine = anat / ".tmp-0123456789ab-sub-01_ses-A_run-1_desc-preproc_T1w.nii.gz"
    others = anat / ".tmp-0123456789ab-sub-01_ses-A_run-2_desc-preproc_T1w.nii.gz"
    longer = anat / ".tmp-0123456789ab-sub-01_ses-A_run-1_part-mag_desc-preproc_T1w.nii.gz"
    for path in (mine, others, longer):
        path.write_bytes(b"half")
    assert _states(scans[:1], output_dir, make_run_settings()) == ["reused"]
    assert [path.exists() for path in (mine, others, longer)] == [False, True, True]


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


def test_changed_settings_or_no_resume_do_it_again(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    coarser = make_run_settings(preprocessing={"resolution_mm": 5.0})
    assert _states(scans[2:], output_dir, coarser) == ["done"]
    assert _states(scans[2:], output_dir, coarser) == ["reused"]
    anew = make_run_settings(preprocessing={"resolution_mm": 5.0}, run={"resume": False})
    assert _states(scans[2:], output_dir, anew) == ["done"]


def test_no_resume_keeps_good_outputs_until_there_are_new_ones_and_does_not_count_them(
    finished: tuple[tuple[Scan, ...], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, output_dir = finished
    anew = make_run_settings(run={"resume": False})

    def odd(self: ConformScan, runtime: object) -> object:
        raise ArithmeticError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(ConformScan, "_run_interface", odd)
        assert _states(scans[2:], output_dir, anew) == ["failed"]
    anat = output_dir / "sub-02/anat"
    assert len(list(anat.iterdir())) == 6
    assert scan_row(output_dir, "sub-02") is not None
    assert _states(scans[2:], output_dir, make_run_settings()) == ["reused"]


def test_harmonized_images_of_what_was_made_anew_are_named(
    finished: tuple[tuple[Scan, ...], Path], caplog: pytest.LogCaptureFixture
) -> None:
    scans, output_dir = finished
    anat = output_dir / "sub-02/anat"
    made = scan_output(output_dir, "sub-02", "harmonized", reference="Site A")
    made.write_bytes(b"image")
    sha256 = file_sha256(anat / "sub-02_desc-preproc_T1w.nii.gz")
    write_json(made.with_name("sub-02_desc-harmonizedSiteA_T1w.json"), {"InputSha256": sha256})
    _run(scans[2:], output_dir, make_run_settings(run={"resume": False}))  # the same again
    assert "were made from earlier" not in caplog.text
    _run(scans[2:], output_dir, make_run_settings(preprocessing={"resolution_mm": 5.0}))
    assert "1 harmonized images were made from earlier preprocessed images; run the" in caplog.text
    assert made.name in caplog.text


def test_outputs_that_are_to_be_made_anew_count_once_they_were_saved_again(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    scans, output_dir = finished
    settings = make_run_settings()
    (plan,) = make_plans(
        scans[2:], output_dir=output_dir, work_dir=tmp_path, settings=settings, run_id="run"
    )
    anew = forget(plan)
    assert (plan.is_done(), anew.is_done()) == (True, False)
    mark = output_dir / "sub-02/anat/sub-02_desc-preproc_T1w.json"
    write_json(mark.with_name("new.json"), json.loads(mark.read_text()))
    mark.with_name("new.json").replace(mark)
    assert anew.is_done()


def test_a_run_that_was_killed_before_its_tables_gets_them_next_time(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    table = output_dir / "sub-01/ses-A/sub-01_ses-A_scans.tsv"
    wanted = table.read_text()
    table.unlink()
    _run(scans, output_dir, make_run_settings())
    assert table.read_text() == wanted


def test_the_table_has_one_row_a_scan_of_the_session(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    _run(scans[1:2], output_dir, make_run_settings())
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


def test_an_output_that_cannot_be_written_stops_the_run_and_leaves_nothing(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        del content
        message = f"{path}: writing failed: No space left on device"
        raise StorageError(message)

    monkeypatch.setattr("bids_harmonize.preprocessing.derivatives.write_json", full)
    with pytest.raises(StorageError, match="No space left"):
        _run(scans[1:], tmp_path / "out", make_run_settings())
    assert not list((tmp_path / "out" / "sub-02" / "anat").iterdir())
