"""What the image is: size, labels, start, and nothing in it that does not belong there."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from bids_harmonize import __version__
from tests.app.container.conftest import Image
from tests.app.container.engine import LOCKED_DOWN, Engine, files_of

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

LARGEST_GB = 2.0
LONGEST_START_S = 2.0
APP = PurePosixPath("opt/bids-harmonize")
PACKAGES = APP / "lib/python3.11/site-packages"
VERSION_FILE = PACKAGES / "bids_harmonize/_version.py"
EMPTY = ("var/lib/apt/lists", "var/cache/apt/archives", "tmp", "var/tmp", "root", "home", "src")
BUILDERS = {"gcc", "g++", "cc", "c++", "clang", "make", "cmake", "ld", "git"}
KEYS = {".netrc", ".pypirc", ".git-credentials", ".env", "id_rsa", "id_ed25519", "credentials"}
SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bghp_\w{36}\b|\bAKIA[A-Z0-9]{16}\b")
TIMER = """
import json, subprocess, sys, time
seconds = []
for _ in range(3):
    started = time.perf_counter()
    subprocess.run(json.loads(sys.argv[1]), check=True, stdout=subprocess.DEVNULL)
    seconds.append(time.perf_counter() - started)
print(min(seconds))
"""


@dataclass(frozen=True)
class Entry:
    """One path of the image; ``text`` of the file of the version alone."""

    is_file: bool
    has_secret: bool
    text: str


@pytest.fixture(scope="module")
def content(engine: Engine, image: Image) -> dict[PurePosixPath, Entry]:
    found = {}
    for entry, text in files_of(engine, image.name):
        path = PurePosixPath(entry.name)
        said = text.decode() if path == VERSION_FILE else ""
        found[path] = Entry(entry.isfile(), SECRET.search(text) is not None, said)
    return found


def test_the_image_is_small(engine, image, capsys):
    size_gb = int(engine.look(image.name, "{{.Size}}")) / 1e9
    with capsys.disabled():
        built = "was there" if image.build_s is None else f"built in {image.build_s:.0f} s"
        print(f"\nimage {image.name}: {size_gb:.2f} GB, {built}")
    assert 0.3 < size_gb < LARGEST_GB


def test_labels_user_and_entry_point(engine, image):
    labels = json.loads(engine.look(image.name, "{{json .Config.Labels}}"))
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.version"] == __version__
    assert labels[f"{prefix}.licenses"] == "Apache-2.0"
    assert {f"{prefix}.revision", f"{prefix}.source", f"{prefix}.title"} <= set(labels)
    assert engine.look(image.name, "{{.Config.User}}") == "1000:1000"
    assert engine.run(image.name, LOCKED_DOWN).stdout.startswith("usage: bids-harmonize ")


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_it_answers_within_two_seconds(engine, image, word, capsys):
    entry = json.loads(engine.look(image.name, "{{json .Config.Entrypoint}}"))
    run = engine.run(
        image.name,
        [*LOCKED_DOWN, "--entrypoint", entry[2]],
        ["-c", TIMER, json.dumps([*entry[2:], word])],
    )
    assert run.returncode == 0, run.stderr
    seconds = float(run.stdout)
    with capsys.disabled():
        print(f"\n{word} inside the container: {seconds:.2f} s")
    assert seconds < LONGEST_START_S


def test_it_says_its_version_and_passes_the_exit_code_on(engine, image):
    assert engine.run(image.name, LOCKED_DOWN, ["--version"]).stdout.split()[1] == __version__
    assert engine.run(image.name, LOCKED_DOWN, ["--nonsense"]).returncode == 2
    missing = engine.run(image.name, LOCKED_DOWN, ["/none", "/tmp/out", "participant"])
    assert missing.returncode == 16, missing.stderr


def test_no_cache_no_repository_and_no_leftover_of_the_build(content):
    files = [path for path, entry in content.items() if entry.is_file]
    kept = {".bashrc", ".profile", "lock"}  # what every Debian image has there
    left = [p for p in files if any(p.is_relative_to(e) for e in EMPTY) and p.name not in kept]
    assert left == []
    assert [path for path in content if {".git", ".cache", ".venv"} & set(path.parts)] == []
    caches = {path for path in content if path.name == "__pycache__" and path.is_relative_to(APP)}
    assert all(path.is_relative_to(PACKAGES) for path in caches)
    assert PACKAGES / "bids_harmonize/__pycache__" in caches  # compiled once, not at every start
    debian = PurePosixPath("usr/share/python-wheels")  # where the base brings pip itself
    packed = [path for path in files if path.suffix in (".whl", ".deb")]
    assert [path for path in packed if debian not in path.parents] == []
    assert not any(path.is_relative_to("opt/build") for path in content)


def test_no_compiler_and_no_installer(content):
    programs = {path.name for path in content if path.parent.name in ("bin", "sbin")}
    assert programs & BUILDERS == set()
    installed = {path.parts[len(PACKAGES.parts)] for path in content if PACKAGES in path.parents}
    names = {name.partition("-")[0] for name in installed}
    assert names & {"pip", "setuptools", "_distutils_hack", "wheel", "hatchling"} == set()
    assert {"bids_harmonize", "torch", "nipype"} <= names
    assert names & {"pytest", "hypothesis", "mypy"} == set()


def test_no_secret(content, engine, image):
    assert [str(path) for path in content if path.name in KEYS] == []
    assert [str(path) for path, entry in content.items() if entry.has_secret] == []
    told = engine("history", "--no-trunc", image.name, check=True).stdout
    told += engine.look(image.name, "{{json .Config.Env}}")
    assert not re.search(r"(?i)password|secret|token|api_?key|://[^/\s]+:[^/\s]+@", told)


def test_only_the_app_of_this_version_is_inside(content):
    assert f'"{__version__}"' in content[VERSION_FILE].text
    assert not any("tests" in p.parts for p in content if PACKAGES / "bids_harmonize" in p.parents)
