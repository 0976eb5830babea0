"""The image, built from the Dockerfile, takes a phantom through the participant level.

``BIDS_HARMONIZE_ENGINE`` names the engine (docker), ``BIDS_HARMONIZE_IMAGE`` an image that is
already built.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bids_harmonize import __version__
from bids_harmonize.phantom import write_study

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
ENGINE = os.environ.get("BIDS_HARMONIZE_ENGINE", "docker")
LOCKED_DOWN = ("--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL")


def answers(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def image() -> str:
    if (
        shutil.which(ENGINE) is None
        or subprocess.run([ENGINE, "info"], capture_output=True).returncode
    ):
        pytest.skip(f"no container engine answers to {ENGINE}")
    name = os.environ.get("BIDS_HARMONIZE_IMAGE")
    if name is None:
        name = "bids-harmonize:test"
        subprocess.run([ENGINE, "build", "-t", name, str(ROOT)], check=True)
    return name


def test_the_image_answers_with_its_version(image):
    command = [ENGINE, "run", *LOCKED_DOWN, image, "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"bids-harmonize {__version__}"


def test_read_only_and_without_network_the_participant_level_succeeds(image, tmp_path):
    bids_dir, output_dir = tmp_path / "bids", tmp_path / "out"
    write_study(bids_dir, n_sites=2, n_per_site=1, n_travelling=0, resolution_mm=6.0, seed=1)
    output_dir.mkdir()
    output_dir.chmod(0o777)
    mounts = ("-v", f"{bids_dir}:/data:ro", "-v", f"{output_dir}:/out")
    run = subprocess.run(
        [
            *(ENGINE, "run", *LOCKED_DOWN, "-u", "1234:1234", *mounts, image),
            *("/data", "/out", "participant", "--resolution", "6"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(list(output_dir.glob("sub-*/anat/*_desc-preproc_T1w.nii.gz"))) == 2
