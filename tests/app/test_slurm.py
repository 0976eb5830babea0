"""Participants as an array of SLURM jobs into one output folder."""

import shlex
import shutil
import subprocess
import sys

import pytest

from bids_harmonize.phantom import write_study

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]


def test_an_array_of_one_participant_each_fills_one_output(tmp_path):
    found = shutil.which("sbatch") is not None
    if not found or subprocess.run(["sinfo"], capture_output=True, check=False).returncode:
        pytest.skip("no SLURM cluster answers here")
    bids_dir, output_dir = tmp_path / "bids", tmp_path / "out"
    write_study(bids_dir, n_sites=2, n_per_site=2, n_travelling=0, resolution_mm=6.0, seed=1)
    app = shlex.join([sys.executable, "-m", "bids_harmonize", str(bids_dir), str(output_dir)])
    people = "(A001 A002 B001 B002)"
    script = tmp_path / "array.sh"
    script.write_text(
        f"#!/bin/bash\npeople={people}\nexec {app} participant --resolution 6 --nprocs 1 "
        "--participant-label ${people[$SLURM_ARRAY_TASK_ID]}\n"
    )
    log = tmp_path / "array-%a.log"
    subprocess.run(
        ["sbatch", "--wait", "--array=0-3", "--output", str(log), str(script)],
        check=True,
        cwd=tmp_path,
    )
    assert len(list(output_dir.glob("sub-*/anat/*_desc-preproc_T1w.nii.gz"))) == 4
    written = [path for path in output_dir.glob("sub-*/**/*") if path.is_file()]
    assert not [path for path in written if path.stat().st_size == 0]
