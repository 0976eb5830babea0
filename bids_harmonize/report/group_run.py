"""What a run left in ``logs/``: its settings, and what it warned of."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bids_harmonize.config import Settings, make_settings
from bids_harmonize.errors import HarmonizeError

_MESSAGE = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL) +(.*)$")
_GROUP = "group"


@dataclass(frozen=True)
class RunRecord:
    """A run: its name, its settings where they can be read, its warnings and errors."""

    run_id: str
    settings: Settings | None
    messages: tuple[tuple[str, str], ...]


def newest_run(output_dir: Path) -> RunRecord | None:
    """The last run of the group level, or the last run at all where there was none.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.

    Returns
    -------
    RunRecord or None
        ``None`` without any file in ``logs/``. Messages are pairs of level and text, each once.
    """
    paths = sorted((output_dir / "logs").glob("*.toml"), reverse=True)
    if not paths:
        return None
    path = next((path for path in paths if _GROUP in _head(path)), paths[0])
    return RunRecord(path.stem, _settings(path), _messages(path.with_suffix(".log")))


def _head(path: Path) -> list[str]:
    """Words of the first line, which names the run and its levels."""
    with path.open(encoding="utf-8") as stream:
        return stream.readline().replace(",", " ").split()


def _settings(path: Path) -> Settings | None:
    try:
        return make_settings(tomllib.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (tomllib.TOMLDecodeError, HarmonizeError):
        return None


def _messages(path: Path) -> tuple[tuple[str, str], ...]:
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [match.groups() for line in lines if (match := _MESSAGE.match(line))]
    return tuple(dict.fromkeys((str(level).lower(), str(text)) for level, text in found))
