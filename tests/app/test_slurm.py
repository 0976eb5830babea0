"""The scripts of ``docs/hpc`` on a SLURM cluster: array, retry, group job, preemption, nipype."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bids_harmonize.phantom import write_study
from tests.app.conftest import RESOLUTION_MM, run_app
from tests.app.slurm_cluster import HPC, SMALL, ask, cluster, job_field, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(3600)]

N_ITERATIONS = 100
TRAINING = f"[harmonizer]\nn_iterations = {N_ITERATIONS}\ncheck_every = 10\n"
WEIGHTS = "models/localhistogram_to-SiteA/model.safetensors"


@dataclass(frozen=True)
class Jobs:
    """One study and its jobs' settings."""

    folder: Path

    @property
    def bids_dir(self) -> Path:
        return self.folder / "bids"

    @property
    def output_dir(self) -> Path:
        return self.folder / "out"

    @property
    def jobs_dir(self) -> Path:
        return self.folder / "jobs"

    def write_settings(self, output_dir: Path) -> Path:
        config = self.folder / "training.toml"
        config.write_text(TRAINING)
        group = ["--stages", "harmonize", "--harmonizer", "localhistogram", "--device", "cpu"]
        lines = {
            "bids_dir": str(self.bids_dir),
            "output_dir": str(output_dir),
            "jobs_dir": str(self.jobs_dir),
            "app": [sys.executable, "-m", "bids_harmonize"],
            "participant_options": ["--resolution", str(RESOLUTION_MM), "--no-tissue"],
            "group_options": [*group, "--config-file", str(config)],
            "at_once": "4",
            "array_size": "8",
        }
        path = self.folder / f"{output_dir.name}.sh"
        path.write_text("".join(f"{name}={_bash(value)}\n" for name, value in lines.items()))
        return path

    def submit(self) -> str:
        """Submit who is not done, and wait for them; what the script says."""
        settings = self.write_settings(self.output_dir)
        script = HPC / "submit_participants.sh"
        command = [str(word) for word in (script, settings, "--wait", *SMALL)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)
        return run.stdout + run.stderr

    def lists(self) -> list[list[str]]:
        """People of every array that was submitted."""
        found = sorted(self.jobs_dir.glob("participants-*.txt"), key=lambda path: path.name)
        return [path.read_text().split() for path in found]


def _bash(value: str | list[str]) -> str:
    return shlex.quote(value) if isinstance(value, str) else f"({shlex.join(value)})"


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield from cluster(tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    made = Jobs(tmp_path_factory.mktemp("jobs"))
    write_study(
        made.bids_dir,
        n_sites=2,
        n_per_site=6,
        n_travelling=0,
        resolution_mm=RESOLUTION_MM,
        seed=1,
    )
    return made


@pytest.fixture(scope="module")
def participants(jobs: Jobs) -> Jobs:
    """Twelve participants as arrays of jobs: one fails, one is lost, a second submission."""
    (image,) = (jobs.bids_dir / "sub-A002").rglob("*_T1w.nii.gz")
    whole = image.read_bytes()
    image.write_bytes(whole[:1000])
    assert "done: 0, to do: 12, to mend first: 0" in jobs.submit()
    codes = {path.name: path.read_text().strip() for path in (jobs.jobs_dir / "exit").iterdir()}
    assert codes.pop("A002") == "1"
    assert set(codes.values()) == {"0"}
    assert len(codes) == 11
    assert sorted(map(len, jobs.lists())) == [4, 8]

    image.write_bytes(whole)
    (jobs.jobs_dir / "exit" / "B003").unlink()  # as of a job that was killed
    shutil.rmtree(jobs.output_dir / "sub-B005")
    assert "done: 9, to do: 3, to mend first: 0" in jobs.submit()
    return jobs


def test_only_who_failed_is_submitted_again(participants: Jobs):
    assert ["A002", "B003", "B005"] in participants.lists()
    assert len(participants.lists()) == 3
    assert "done: 12, to do: 0, to mend first: 0" in participants.submit()
    assert len(participants.lists()) == 3
    output = participants.output_dir
    assert len(list(output.glob("sub-*/anat/*_desc-preproc_T1w.nii.gz"))) == 12
    assert len((output / "participants.tsv").read_text().splitlines()) == 13
    assert not [
        path for path in output.glob("sub-*/**/*") if path.is_file() and not path.stat().st_size
    ]


def submit_group(jobs: Jobs, output_dir: Path) -> tuple[str, Path]:
    """A group job's number and log."""
    log = jobs.folder / f"{output_dir.name}.log"
    options = ("--parsable", "--gres=none", "--output", log, *SMALL)
    settings = jobs.write_settings(output_dir)
    return ask("sbatch", *options, HPC / "group.sbatch", settings).strip(), log


def wait_for_end(job: str) -> None:
    ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
    wait_until(lambda: job_field(job, "JobState") in ended, what=f"end of job {job}")


def test_a_preempted_group_job_goes_on_to_the_same_weights(participants: Jobs):
    whole, stopped = participants.folder / "whole", participants.folder / "stopped"
    for folder in (whole, stopped):
        shutil.copytree(participants.output_dir, folder)
    job, log = submit_group(participants, whole)
    wait_for_end(job)
    assert job_field(job, "JobState") == "COMPLETED", log.read_text()

    job, log = submit_group(participants, stopped)
    wait_until(
        lambda: log.is_file() and f"of {N_ITERATIONS}, " in log.read_text(), what="training"
    )
    ask("scancel", "--signal=USR1", job)
    wait_until(lambda: job_field(job, "Restarts") == "1", what="requeue")
    first = log.read_text()
    assert "preempted, checkpoint written, run again (exit code 75)" in first
    assert "going on after" not in first
    assert not (stopped / ".group.lock").exists()
    assert not (stopped / WEIGHTS).exists()
    ask("scontrol", "update", f"JobId={job}", "StartTime=now")
    wait_for_end(job)
    text = log.read_text()
    assert job_field(job, "JobState") == "COMPLETED", text
    done = text.partition("asked to stop after ")[2].split()[0]
    assert 0 < int(done) < N_ITERATIONS
    assert f"going on after iteration {done}" in text
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    images = sorted(path.relative_to(whole) for path in whole.glob("sub-*/**/*harmonized*.nii.gz"))
    assert len(images) >= 6
    assert all((stopped / path).read_bytes() == (whole / path).read_bytes() for path in images)


def test_nipype_submits_the_steps_itself(participants: Jobs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LOGNAME", raising=False)
    plugin = participants.folder / "slurm.yml"
    plugin.write_text('plugin: SLURM\nplugin_args: {sbatch_args: "--mem=1500M"}\n')
    output_dir = participants.folder / "nipype"
    run = run_app(
        *(participants.bids_dir, output_dir, "participant", "--participant-label", "A001"),
        *("--resolution", RESOLUTION_MM, "--no-tissue", "--use-plugin", plugin),
        *("-w", participants.folder / "work"),
    )
    assert run.returncode == 0, run.stderr
    (made,) = output_dir.glob("sub-*/anat/*_desc-preproc_T1w.nii.gz")
    theirs = participants.output_dir / made.relative_to(output_dir)
    assert made.read_bytes() == theirs.read_bytes()
