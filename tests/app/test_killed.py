"""A run that is killed while it trains goes on where it was and ends with the same weights."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.app.conftest import FinishedStudy, run_app

pytestmark = pytest.mark.slow

CHECKPOINT = ".work/harmonize/cyclegan/pair-0/attempt-1.pt"
WEIGHTS = "models/cyclegan_to-SiteA/model.safetensors"


def copy_of_participant_level(study: FinishedStudy, folder: Path) -> Path:
    ignored = shutil.ignore_patterns(
        "models", "group*", ".work", "tpl-*", "*harmonized*", "*Saliency*"
    )
    return Path(shutil.copytree(study.output_dir, folder, ignore=ignored))


def arguments(output_dir: Path, config: Path) -> list[str]:
    return [
        *("-", str(output_dir), "group", "--stages", "harmonize", "--effort", "quick"),
        *("--nprocs", "1", "--config-file", str(config)),
    ]


def wait_for(path: Path, process: subprocess.Popen[bytes], *, limit_s: float) -> None:
    started = time.monotonic()
    while not path.is_file():
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() - started < limit_s, f"{path} never came"
        time.sleep(0.05)


def test_killed_in_cyclegan_training_it_resumes_to_the_same_weights(
    finished_study: FinishedStudy, tmp_path: Path
):
    config = tmp_path / "long.toml"
    config.write_text("[harmonizer]\nn_iterations = 200\n")
    whole = copy_of_participant_level(finished_study, tmp_path / "whole")
    killed = copy_of_participant_level(finished_study, tmp_path / "killed")
    uninterrupted = run_app(*arguments(whole, config))
    assert uninterrupted.returncode == 0, uninterrupted.stderr

    command = [sys.executable, "-m", "bids_harmonize", *arguments(killed, config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_for(killed / CHECKPOINT, process, limit_s=600)
        os.kill(process.pid, signal.SIGKILL)
    assert not (killed / WEIGHTS).exists()
    assert not list(killed.glob("sub-*/**/*harmonized*"))

    again = run_app(*arguments(killed, config))
    assert again.returncode == 0, again.stderr
    assert "going on after iteration" in again.stdout + again.stderr
    assert (killed / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    images = sorted(path.relative_to(whole) for path in whole.glob("sub-*/**/*harmonized*.nii.gz"))
    assert images
    assert all((killed / path).read_bytes() == (whole / path).read_bytes() for path in images)
