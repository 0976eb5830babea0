"""The SIF image, from singularity.def with the engine's image in the place of the registry's."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bids_harmonize import __version__
from tests.app.conftest import FAST_TRAINING, GROUP_OPTIONS, RESOLUTION_MM, write_small_study
from tests.app.container.conftest import Image
from tests.app.container.engine import ROOT, Engine, open_to_all
from tests.app.test_whole_study import GOLDEN_TREE, outputs_of

pytestmark = [pytest.mark.container, pytest.mark.timeout(7200)]

CLOSED = ("--containall", "--cleanenv", "--no-home", "--pwd", "/")


def run(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def apptainer() -> list[str]:
    named = os.environ.get("BIDS_HARMONIZE_APPTAINER")
    for words in [named] if named else ["apptainer", "singularity"]:
        command = shlex.split(words)
        if shutil.which(command[0]) and run(*command, "--version", check=False).returncode == 0:
            return command
    pytest.skip("neither apptainer nor singularity is here")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Open to the user whom apptainer runs as, if that is another one; pytest's own is not."""
    place = Path(tempfile.mkdtemp(prefix="bids-harmonize-sif-"))
    place.chmod(0o777)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def sif(apptainer: Sequence[str], engine: Engine, image: Image, folder: Path) -> Path:
    archive, recipe, path = folder / "app.tar", folder / "app.def", folder / "app.sif"
    engine("save", "-o", archive, image.name, check=True)
    archive.chmod(0o644)
    text = (ROOT / "singularity.def").read_text()
    text = re.sub(r"^Bootstrap: .*", "Bootstrap: docker-archive", text, flags=re.MULTILINE)
    recipe.write_text(re.sub(r"^From: .*", f"From: {archive}", text, flags=re.MULTILINE))
    started = time.monotonic()
    run(*apptainer, "build", *(["--fakeroot"] if os.geteuid() else []), path, recipe)
    archive.unlink()
    (folder / "build_s").write_text(f"{time.monotonic() - started:.0f}")
    return path


def test_it_says_its_version_its_help_and_what_it_is(apptainer, sif, folder, capsys):
    started = time.monotonic()
    said = run(*apptainer, "run", *CLOSED, sif, "--version").stdout
    seconds = time.monotonic() - started
    with capsys.disabled():
        size_gb = sif.stat().st_size / 1e9
        built = (folder / "build_s").read_text()
        print(f"\nSIF: {size_gb:.2f} GB, built in {built} s, --version in {seconds:.1f} s")
    assert said.split() == ["bids-harmonize", __version__]
    assert "--containall" in run(*apptainer, "run-help", sif).stdout
    labels = json.loads(run(*apptainer, "inspect", "--json", "--labels", sif).stdout)
    labels = labels["data"]["attributes"]["labels"]
    assert labels["org.opencontainers.image.version"] == __version__


def test_its_own_test_passes_closed_in_and_with_nv(apptainer, sif):
    assert __version__ in run(*apptainer, "test", *CLOSED, "--nv", sif).stdout


EXPLICIT = "APPTAINERENV_PYTHONPATH", "SINGULARITYENV_PYTHONPATH"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("PYTHONPATH",), ("exec", "{sif}", "python", "-c", "import bids_harmonize")),
        (("PYTHONPATH",), ("run", "{sif}", "--version")),
        (EXPLICIT, ("run", "{sif}", "--version")),
    ],
    ids=["exec", "run", "run, asked for"],
)
def test_the_hosts_python_does_not_leak_in(apptainer, sif, folder, names, words):
    (folder / "bids_harmonize").mkdir(exist_ok=True)
    (folder / "bids_harmonize/__init__.py").write_text("raise ImportError('that of the host')")
    what, *others = words
    bound = [what, "-B", folder, "--pwd", folder, *(sif if w == "{sif}" else w for w in others)]
    done = subprocess.run(
        [*apptainer, *map(str, bound)],
        env={**os.environ, **dict.fromkeys(names, str(folder))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_closed_in_both_levels_give_the_golden_tree(apptainer, sif, folder, capsys):
    write_small_study(folder)
    open_to_all(folder / "out")
    (folder / "fast.toml").write_text(FAST_TRAINING)
    binds = ["-B", f"{folder / 'bids'}:/data:ro", "-B", f"{folder / 'out'}:/out"]
    binds += ["-B", f"{folder / 'fast.toml'}:/fast.toml:ro"]
    words = ["/data", "/out", "participant", "group", "--resolution", RESOLUTION_MM]
    words += [*GROUP_OPTIONS, "--folds", 3, "--nprocs", 2, "--config-file", "/fast.toml"]
    started = time.monotonic()
    done = run(*apptainer, "run", *CLOSED, *binds, sif, *words)
    with capsys.disabled():
        print(f"\nboth levels in the SIF: {time.monotonic() - started:.0f} s")
    said = [line for line in done.stderr.splitlines() if not line.startswith("INFO: ")]
    assert "finished successfully" in said[-1]  # apptainer itself may have the last word
    assert outputs_of(folder / "out") == GOLDEN_TREE.read_text().split()
    described = json.loads((folder / "out/dataset_description.json").read_text())
    container = described["GeneratedBy"][0]["Container"]
    assert container == {"Type": "singularity", "Tag": f"bids-harmonize:{__version__}"}
