"""The script that submits participants, with a scheduler that only takes notes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HPC = Path(__file__).parents[2] / "docs" / "hpc"
PEOPLE = ("01", "02", "03", "04", "05", "06", "07")

Submit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Seven participants of whom 01 and 02 are done; gives the script's run."""
    programs, settings = tmp_path / "bin", tmp_path / "a study.sh"
    programs.mkdir()
    for name, content in {
        "squeue": f"cat {tmp_path}/queue 2>/dev/null || true",
        "sbatch": f'printf "%s\\n" "$*" >>{tmp_path}/asked',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{content}\n")
        (programs / name).chmod(0o755)
    text = (HPC / "settings.sh").read_text()
    text = text.replace("bids_dir=/data/study\n", f"bids_dir={tmp_path}/bids\n")
    text = text.replace(
        "output_dir=/data/study/derivatives/bids-harmonize", f"output_dir={tmp_path}/out"
    )
    settings.write_text(text.replace("array_size=1000", "array_size=3"))
    codes = {"01": 0, "02": 0, "03": 0, "04": 1, "05": 66, "06": 75}
    (tmp_path / "out-jobs" / "exit").mkdir(parents=True)
    for person, code in codes.items():
        (tmp_path / "out-jobs" / "exit" / person).write_text(f"{code}\n")
    for person in PEOPLE:
        (tmp_path / "bids" / f"sub-{person}").mkdir(parents=True)
    for person in ("01", "02", "04"):
        anat = tmp_path / "out" / f"sub-{person}" / "ses-1" / "anat"
        anat.mkdir(parents=True)
        (anat / f"sub-{person}_ses-1_desc-preproc_T1w.json").write_text("{}")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HPC / "submit_participants.sh", settings, *options],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        )

    return run


def test_who_failed_or_has_no_output_is_submitted_and_who_cannot_succeed_is_named(
    submit: Submit, tmp_path: Path
):
    run = submit("--partition", "short")
    assert run.returncode == 0, run.stderr
    assert "done: 2, to do: 4, to mend first: 1" in run.stdout
    assert "05 (66)" in run.stdout
    lists = sorted((tmp_path / "out-jobs").glob("participants-*.txt"))
    assert [path.read_text().split() for path in lists] == [["03", "04", "06"], ["07"]]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert ["--array 1-3%100 " in asked[0], "--array 1-1%100 " in asked[1]] == [True, True]
    for line, path in zip(asked, lists, strict=True):
        assert f"--partition short {HPC}/participants.sbatch" in line
        assert line.endswith(f"{tmp_path}/a study.sh {path}")


def test_nothing_is_submitted_while_jobs_are_queued(submit: Submit, tmp_path: Path):
    (tmp_path / "queue").write_text("12_1\n12_[2-3]\n")
    run = submit()
    assert run.returncode == 75
    assert "are queued or running: 12_1 12_[2-3]" in run.stderr
    assert not (tmp_path / "asked").exists()


def test_nothing_is_submitted_when_all_are_done(submit: Submit, tmp_path: Path):
    for person in PEOPLE[2:]:
        (tmp_path / "out-jobs" / "exit" / person).write_text("0\n")
        anat = tmp_path / "out" / f"sub-{person}" / "anat"
        anat.mkdir(parents=True, exist_ok=True)
        (anat / f"sub-{person}_desc-preproc_T1w.json").write_text("{}")
    assert "done: 7, to do: 0, to mend first: 0" in submit().stdout
    assert not (tmp_path / "asked").exists()
