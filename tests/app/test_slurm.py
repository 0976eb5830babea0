"""The scripts of ``docs/hpc`` on SLURM: array, retry, group jobs, preemption, tasks, nipype."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bids_harmonize.phantom import write_study
from tests.app.conftest import RESOLUTION_MM, run_app
from tests.app.slurm_cluster import HPC, SMALL, ask, cluster, job_field, wait_until
from tests.training.pair_cases import farthest

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(3600)]

N_ITERATIONS = 100
N_STEPS = 20
TWO_TASKS = ("--nodes=1", "--ntasks=2", "--mem=3G")
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

    def write_settings(self, output_dir: Path, *, n_iterations: int = N_ITERATIONS) -> Path:
        config = self.folder / f"{output_dir.name}.toml"
        config.write_text(f"[harmonizer]\nn_iterations = {n_iterations}\ncheck_every = 10\n")
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
def slurm() -> Iterator[None]:
    yield from cluster()


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


def submit_group(
    jobs: Jobs, output_dir: Path, *options: str, n_iterations: int = N_ITERATIONS
) -> tuple[str, Path]:
    """A group job's number and log; it has participants of its own."""
    shutil.copytree(jobs.output_dir, output_dir)
    log = jobs.folder / f"{output_dir.name}.log"
    settings = jobs.write_settings(output_dir, n_iterations=n_iterations)
    words = ("--parsable", "--gres=none", "--output", log, *SMALL, *options)
    return ask("sbatch", *words, HPC / "group.sbatch", settings).strip(), log


def wait_for_success(job: str, log: Path) -> None:
    ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
    wait_until(lambda: job_field(job, "JobState") in ended, what=f"end of job {job}")
    assert job_field(job, "JobState") == "COMPLETED", log.read_text()


def harmonized_images(output_dir: Path) -> list[Path]:
    images = sorted(output_dir.glob("sub-*/**/*harmonized*.nii.gz"))
    assert len(images) >= 6
    return [path.relative_to(output_dir) for path in images]


@pytest.mark.parametrize("options", [(), TWO_TASKS], ids=["one task", "two tasks"])
def test_a_preempted_group_job_goes_on_to_the_same_weights(
    participants: Jobs, options: tuple[str, ...]
):
    whole, stopped = (participants.folder / f"{way}{len(options)}" for way in ("whole", "stopped"))
    wait_for_success(*submit_group(participants, whole, *options))

    job, log = submit_group(participants, stopped, *options)
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
    wait_for_success(job, log)
    text = log.read_text()
    done = text.partition("asked to stop after ")[2].split()[0]
    assert 0 < int(done) < N_ITERATIONS
    assert f"going on after iteration {done}" in text
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    for path in harmonized_images(whole):
        assert (stopped / path).read_bytes() == (whole / path).read_bytes(), path


def test_two_tasks_train_to_the_weights_of_one(participants: Jobs):
    one, two = (participants.folder / name for name in ("one-task", "two-tasks"))
    for folder, options in ((one, ()), (two, TWO_TASKS)):
        wait_for_success(*submit_group(participants, folder, *options, n_iterations=N_STEPS))
    weights, others = (load_file(folder / WEIGHTS) for folder in (one, two))
    assert "processes that train and harmonize together: 2" in two.with_suffix(".log").read_text()
    assert weights.keys() == others.keys()
    assert farthest(weights, others) < 1e-4
    assert [path.name for path in harmonized_images(one)] == [
        path.name for path in harmonized_images(two)
    ]


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
