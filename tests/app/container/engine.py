"""The container engine that the tests use, and the image that they look at."""

import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp:rw,mode=1777", "--network", "none", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--shm-size", "64m", "-u", "1234:1234"),
)
"""A cluster at its strictest: nothing to write on but /tmp, nobody's user, no network."""


@dataclass(frozen=True)
class Engine:
    """docker, podman, or whatever takes their words.

    Parameters
    ----------
    words
        The command.
    """

    words: tuple[str, ...]

    def __call__(
        self, *arguments: object, check: bool = False, timeout_s: float = 3000
    ) -> subprocess.CompletedProcess[str]:
        """Run the engine with so many words."""
        run = subprocess.run(
            [*self.words, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd=tempfile.gettempdir(),  # Podman leaves a file there when memory runs out
        )
        assert not check or run.returncode == 0, run.stdout + run.stderr
        return run

    def run(
        self, image: str, options: Sequence[object] = (), words: Sequence[object] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run an image to its end and remove the container."""
        return self("run", "--rm", *options, image, *words)

    def look(self, image: str, template: str) -> str:
        """What ``inspect`` says about an image."""
        return self("image", "inspect", "--format", template, image, check=True).stdout.strip()


def find_engine() -> Engine | None:
    """What ``BIDS_HARMONIZE_ENGINE`` names, else docker or podman; ``None`` if silent."""
    named = os.environ.get("BIDS_HARMONIZE_ENGINE")
    for words in [named] if named else ["docker", "podman"]:
        program, *rest = shlex.split(words)
        place = shutil.which(program)
        if place and (engine := Engine((place, *rest)))("info").returncode == 0:
            return engine
    return None


def build_words() -> list[str]:
    """More words for the build, for places without PyTorch's index."""
    return shlex.split(os.environ.get("BIDS_HARMONIZE_BUILD_ARGS", ""))


def files_of(engine: Engine, image: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Every entry of an image's file system; the content of files of 256 kB at most."""
    container = engine("create", image, check=True).stdout.strip()
    try:
        command = [*engine.words, "export", container]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as export:
            assert export.stdout is not None
            with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
                for entry in archive:
                    small = entry.isfile() and entry.size <= 1 << 18
                    content = archive.extractfile(entry) if small else None
                    yield entry, content.read() if content else b""
        assert export.returncode == 0
    finally:
        engine("rm", container, check=True)


def open_to_all(folder: Path) -> Path:
    """Make a folder that any user may write in."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return folder
