"""Both levels in a locked-down container: the tree, the validator, what the user is told."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bids_harmonize import __version__
from bids_harmonize.phantom import write_study
from tests.app.conftest import FAST_TRAINING, GROUP_OPTIONS, RESOLUTION_MM, write_small_study
from tests.app.container.conftest import Image
from tests.app.container.engine import LOCKED_DOWN, Engine, open_to_all
from tests.app.test_whole_study import GOLDEN_TREE, outputs_of

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

STOP_LIMIT_S = 30
"""What ``stop`` gives it before it kills it, which would be code 137."""


def entry_without_home(engine: Engine, image: str) -> tuple[list[str], list[str]]:
    """Option and words that start the app as the image does, but without HOME."""
    entry = json.loads(engine.look(image, "{{json .Config.Entrypoint}}"))
    return ["--entrypoint", "env"], ["-u", "HOME", *entry]


@pytest.fixture(scope="module")
def study(engine: Engine, image: Image, tmp_path_factory) -> Path:
    """A folder with ``bids`` and ``out`` of one run of both levels."""
    folder = tmp_path_factory.mktemp("study")
    bids_dir = write_small_study(folder)
    output_dir = open_to_all(folder / "out")
    (folder / "fast.toml").write_text(FAST_TRAINING)
    option, start = entry_without_home(engine, image.name)
    mounts = ["-v", f"{bids_dir}:/data:ro", "-v", f"{output_dir}:/out"]
    mounts += ["-v", f"{folder / 'fast.toml'}:/fast.toml:ro"]
    words = ["/data", "/out", "participant", "group", "--resolution", RESOLUTION_MM]
    words += [*GROUP_OPTIONS, "--folds", 3, "--nprocs", 2, "--config-file", "/fast.toml"]
    started = time.monotonic()
    run = engine.run(image.name, [*LOCKED_DOWN, *mounts, *option], [*start, *words])
    assert run.returncode == 0, run.stdout + run.stderr
    assert "finished successfully" in run.stderr.strip().splitlines()[-1]
    (folder / "seconds").write_text(f"{time.monotonic() - started:.0f}")
    return folder


def test_the_output_tree_is_the_golden_one(study, capsys):
    with capsys.disabled():
        print(f"\nboth levels in the container: {(study / 'seconds').read_text()} s")
    assert outputs_of(study / "out") == GOLDEN_TREE.read_text().split()


def test_the_bids_validator_finds_no_error(study):
    validator = Path(sys.executable).parent / "bids-validator-deno"
    run = subprocess.run(
        [str(validator), "--format", "json", str(study / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_everything_belongs_to_the_user_and_the_container_is_named(study):
    assert {path.stat().st_uid for path in (study / "out").rglob("*")} == {1234}
    description = json.loads((study / "out/dataset_description.json").read_text())
    container = description["GeneratedBy"][0]["Container"]
    assert container == {"Type": "docker", "Tag": f"bids-harmonize:{__version__}"}


def test_an_output_of_somebody_else_is_73_and_says_what_to_do(engine, image, tmp_path):
    write_study(tmp_path / "bids", n_sites=1, n_per_site=1, n_travelling=0, resolution_mm=6.0)
    (tmp_path / "out").mkdir(mode=0o755)
    mounts = ["-v", f"{tmp_path / 'bids'}:/data:ro", "-v", f"{tmp_path / 'out'}:/out"]
    words = ["/data", "/out", "participant", "--resolution", 6]
    run = engine.run(image.name, [*LOCKED_DOWN, *mounts], words)
    assert run.returncode == 73, run.stderr
    assert "check the folder's permissions" in run.stderr
    assert "exit code 73" in run.stderr.strip().splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []


def test_it_stops_when_it_is_told_to(engine, image, tmp_path, capsys):
    write_study(tmp_path / "bids", n_sites=2, n_per_site=2, n_travelling=0, resolution_mm=6.0)
    open_to_all(tmp_path / "out")
    mounts = ["-v", f"{tmp_path / 'bids'}:/data:ro", "-v", f"{tmp_path / 'out'}:/out"]
    words = ["/data", "/out", "participant", "--resolution", "1"]
    name = engine("run", "-d", *LOCKED_DOWN, *mounts, image.name, *words, check=True).stdout
    name = name.strip()
    try:
        end = time.monotonic() + 120
        while not re.search(r"run \d{8}", engine("logs", name).stderr):
            assert time.monotonic() < end, engine("logs", name).stderr
            time.sleep(0.5)
        started = time.monotonic()
        engine("stop", "-t", STOP_LIMIT_S, name, check=True)
        seconds = time.monotonic() - started
        code = engine("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
        with capsys.disabled():
            print(f"\nstopped with code {code} in {seconds:.1f} s")
        assert code in ("75", "143")  # 75 where the app itself answers the signal
        assert seconds < STOP_LIMIT_S
    finally:
        engine("rm", "-f", name)
