"""What a run says of scans whose workers left no word: clusters that refuse, nodes that cannot."""

import os
from pathlib import Path

import pytest

from bids_harmonize.bids.index import Scan
from bids_harmonize.config import Settings
from bids_harmonize.preprocessing.interfaces import ConformScan
from bids_harmonize.preprocessing.run import run_participants
from tests.preprocessing.conftest import make_run_settings

RUN_AT_ONCE = """#!/bin/sh
for last; do :; done
case $(cat "$last") in *sub_02*|*sub-02*) ;; *) sh "$last" >/dev/null 2>&1 ;; esac
echo "Submitted batch job $$"
"""
"""A cluster that runs a job while it is submitted, and loses those of sub-02."""


def _run(scans: tuple[Scan, ...], folder: Path, settings: Settings) -> dict[str, str | None]:
    outcomes = run_participants(
        scans, output_dir=folder / "out", work_dir=folder / "w", settings=settings, run_id="run"
    )
    return {outcome.scan.stem: outcome.message for outcome in outcomes}


def _cluster(folder: Path, monkeypatch: pytest.MonkeyPatch, sbatch: str) -> Settings:
    (folder / "bin").mkdir()
    for name, content in (("sbatch", sbatch), ("squeue", "#!/bin/sh\n")):
        (folder / "bin" / name).write_text(content)
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("LOGNAME", "somebody")
    path = folder / "plugin.yml"
    path.write_text("plugin: SLURM\nplugin_args: {retry_timeout: 0}\n")
    return make_run_settings(resources={"plugin_file": str(path)})


def test_a_cluster_that_takes_no_job_fails_every_scan_and_says_where_to_look(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = "#!/bin/sh\necho 'invalid account' >&2\nexit 1\n"
    messages = _run(scans, tmp_path, _cluster(tmp_path, monkeypatch, refuses))
    assert len(messages) == 2
    for message in messages.values():
        assert "not run to its end (IndexError: list index out of range)" in str(message)
        assert "memory" not in str(message)
    (folder,) = (tmp_path / "w").rglob("batch")
    assert f"submit a script of {folder} by hand" in str(messages["sub-02"])
    assert list(folder.glob("batchscript_*.sh"))
    assert list((tmp_path / "out").rglob("*.nii.gz")) == []  # nothing is computed here


@pytest.mark.slow
def test_a_lost_job_fails_its_own_scan(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = _run(scans, tmp_path, _cluster(tmp_path, monkeypatch, RUN_AT_ONCE))
    assert messages["sub-01_ses-A"] is None
    assert "its job on the cluster left no result: time or memory limit?" in str(
        messages["sub-02"]
    )
    (crash,) = (tmp_path / "out").rglob("crash-*.txt")
    assert "results file does not exist" in crash.read_text()


@pytest.mark.parametrize("stop", [False, True])
def test_what_nipype_alone_knows_is_told(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: bool
) -> None:
    def odd(self: ConformScan, runtime: object) -> object:
        if "sub-01" in self.inputs.in_file:
            raise ArithmeticError("nobody wrote this down")
        return run(self, runtime)

    run = ConformScan._run_interface
    monkeypatch.setattr(ConformScan, "_run_interface", odd)
    messages = _run(scans, tmp_path, make_run_settings(run={"stop_on_first_crash": stop}))
    told = str(messages["sub-01_ses-A"])
    assert told.startswith("nipype could not run it: ")
    assert "ArithmeticError: nobody wrote this down" in told
    assert "memory" not in told
    assert ("not run" in str(messages["sub-02"])) == stop
    (crash,) = (tmp_path / "out").rglob("crash-*.txt")
    assert "Working directory:" in crash.read_text()
