"""One small phantom study, taken through both levels once for all tests that look at it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bids_harmonize.phantom import write_study

RESOLUTION_MM = 6.0
FAST = ("--resolution", str(RESOLUTION_MM), "--brain-mask", "none")
"""A participant level without brain and tissue, for what does not depend on them."""
GROUP_OPTIONS = ("--stages", "classify", "harmonize", "evaluate", "--effort", "quick")
FAST_TRAINING = "[classifier]\nn_epochs = 6\n\n[harmonizer]\nn_iterations = 60\n"


@dataclass(frozen=True)
class FinishedStudy:
    """A study that the app went through; ``log`` is what it said last."""

    bids_dir: Path
    output_dir: Path
    exit_code: int
    log: str


def run_app(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The app in a process of its own, as a user starts it."""
    command = [sys.executable, "-m", "bids_harmonize", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)


def write_small_study(folder: Path, *, seed: int = 3) -> Path:
    """Raw phantom data of 2 sites x 6 and 2 travelling subjects."""
    bids_dir = folder / "bids"
    write_study(
        bids_dir, n_sites=2, n_per_site=6, n_travelling=2, resolution_mm=RESOLUTION_MM, seed=seed
    )
    return bids_dir


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """The small study after ``participant group``."""
    folder = tmp_path_factory.mktemp("study")
    bids_dir = write_small_study(folder)
    config = folder / "fast.toml"
    config.write_text(FAST_TRAINING)
    output_dir = folder / "out"
    run = run_app(
        *(bids_dir, output_dir, "participant", "group", "--resolution", RESOLUTION_MM),
        *(*GROUP_OPTIONS, "--folds", 3, "--nprocs", 2, "--config-file", config),
    )
    return FinishedStudy(bids_dir, output_dir, run.returncode, run.stdout + run.stderr)
