"""``logs/CITATION.md``: what was done, in words for a paper, with the references.

Choice: one section a level, and a run writes only its own. Reason: any number of participant jobs
and a group run share the file; equal settings give equal text, so that it is written once.
Rejected: the settings of every sidecar (a job would read the whole study). Revisit when one study
may hold images of several settings.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.names import citation_file
from bids_harmonize.report.participant_methods import write_methods

_HEAD = (
    "# Methods and references\n\n"
    "Written by bids-harmonize from the settings and outputs of its last runs. The paragraphs may"
    " be copied into a paper; numbers in brackets are the references of the same section.\n"
)
_TITLES = {"participant": "Participant level", "group": "Group level"}


def cite_participant_level(
    output_dir: Path, preprocessing: Mapping[str, Any], *, derivatives: Sequence[str] = ()
) -> Path:
    """The path of ``logs/CITATION.md``, with what the participant level does.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    preprocessing
        Settings of the preprocessing.
    derivatives
        Names of the datasets that brain masks are taken from.

    Returns
    -------
    Path
        Written in one go, and only where its text changes; the other level's section stays.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    sources = [f"derivative:{name}" for name in derivatives]
    return write_section(
        output_dir, "participant", *write_methods(preprocessing, mask_sources=sources)
    )


def write_section(
    output_dir: Path, level: str, paragraphs: Sequence[str], references: Sequence[str]
) -> Path:
    """The path of ``logs/CITATION.md``, with one level's section written anew.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    level
        ``participant`` or ``group``.
    paragraphs, references
        The section's text; references are numbered from 1.

    Returns
    -------
    Path
        Written in one go, and only where its text changes; the other level's section stays.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    path = citation_file(output_dir)
    sections = _read_sections(path)
    listed = "\n".join(f"{number}. {text}" for number, text in enumerate(references, start=1))
    sections[_TITLES[level]] = "\n\n".join([*paragraphs, "### References", listed])
    parts = [
        f"## {title}\n\n{sections[title]}\n" for title in _TITLES.values() if title in sections
    ]
    write_text(path, "\n".join([_HEAD, *parts]))
    return path


def _read_sections(path: Path) -> dict[str, str]:
    """Title to text of the sections that stand in the file; nothing where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    _, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    return {title: found[title].strip() for title in _TITLES.values() if title in found}
