"""The container commands of the README, as they stand there.

Only the two folders of the host are put in their place, and to the run over both levels, which
takes hours, words are added that make it short.
"""

import os
import re
import shlex
import subprocess

import pytest

from bids_harmonize.phantom import write_study
from tests.app.container.conftest import Image
from tests.app.container.engine import ROOT, Engine, build_words
from tests.app.test_readme import commands

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

SHORT = (
    "--resolution 6 --no-tissue --stages classify --effort quick --folds 2 --min-per-site 3"
    " --nprocs 2 --config-file /out/fast.toml"
)


def docker_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    return [line for line in commands(text) if line.startswith("docker ")]


@pytest.fixture(scope="module")
def shell(engine: Engine, image: Image, tmp_path_factory):
    """Runs a line with ``docker`` being the engine, /data/bids and /data/out being ours."""
    folder = tmp_path_factory.mktemp("readme")
    write_study(folder / "bids", n_sites=2, n_per_site=3, n_travelling=0, resolution_mm=6.0)
    (folder / "out").mkdir()
    (folder / "out/fast.toml").write_text("[classifier]\nn_epochs = 6\n")
    (folder / "bin").mkdir()
    docker = folder / "bin/docker"
    docker.write_text(f'#!/bin/sh\nexec {shlex.join(engine.words)} "$@"\n')
    docker.chmod(0o755)

    def run(line: str) -> subprocess.CompletedProcess[str]:
        placed = line.replace("/data/bids", str(folder / "bids"))
        placed = placed.replace("/data/out", str(folder / "out"))
        return subprocess.run(
            ["bash", "-c", placed],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_commands_of_the_readme_build_look_and_run(shell, engine, tmp_path):
    build, look, work = docker_commands()
    assert build == "docker build -t bids-harmonize ."
    run = shell(f"{build} {shlex.join(build_words())}")
    assert run.returncode == 0, run.stdout + run.stderr

    assert look.endswith("--dry-run")
    run = shell(look)
    assert run.returncode == 0, run.stderr
    assert "sub-A001" in run.stdout
    assert "nothing was written" in run.stderr

    assert work.endswith("/data /out participant group")
    run = shell(f"{work} {SHORT}")
    assert run.returncode == 0, run.stderr
    assert "finished successfully" in run.stderr.strip().splitlines()[-1]
    (mount,) = re.findall(r"-v (\S+):/out ", work)
    assert mount == "/data/out"


def test_what_it_wrote_belongs_to_whoever_gave_the_command(shell):
    run = shell("find /data/out ! -uid $(id -u)")
    assert run.stdout == ""
    assert shell("ls /data/out/group.html /data/out/sub-A001.html").returncode == 0
