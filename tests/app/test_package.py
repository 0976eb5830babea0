"""The wheel: all that the app needs at run time, nothing else, and it starts from elsewhere."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from bids_harmonize import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = "bids_harmonize"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as an installer without a wheel would; about 2 s."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: make install-dev")
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (sdist,) = folder.glob("*.tar.gz")
    subprocess.run([sys.executable, "-m", "tarfile", "-e", str(sdist), str(folder)], check=True)
    source = folder / sdist.name.removesuffix(".tar.gz")
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_it_holds_every_file_of_the_package_and_no_other(wheel):
    kept = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert any(name.endswith(".j2") for name in kept)
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == kept


def test_its_version_and_commands_are_those_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        stated = Parser().parsestr(archive.read(metadata).decode())
        commands = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert (stated["Version"], stated["License-Expression"]) == (__version__, "Apache-2.0")
    assert "bids-harmonize = bids_harmonize.cli.main:main" in commands
    assert "bids-harmonize-phantom = bids_harmonize.phantom.command:main" in commands


@pytest.mark.parametrize("command", ["bids-harmonize", "bids-harmonize-phantom"])
def test_its_commands_start_from_elsewhere(wheel, command, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys; from importlib.metadata import distribution\n"
        f"own = distribution('bids-harmonize').entry_points\n"
        f"(entry,) = [e for e in own if e.name == {command!r}]\n"
        "start = entry.load()\n"
        "print(sys.modules['bids_harmonize'].__file__)\n"
        "sys.argv = [entry.name, '--help']\n"
        "sys.exit(start())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(str(tmp_path / PACKAGE))
    assert f"usage: {command}" in run.stdout


def test_the_version_stands_in_one_place():
    """Others read it from there (pyproject) or are compared with it (CITATION.cff, the image)."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*.py")
        if f'"{__version__}"' in path.read_text(encoding="utf-8")
    ]
    assert found == ["bids_harmonize/_version.py"]
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
