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
from bids_harmonize.report.group_about import group_methods
from bids_harmonize.report.group_inputs import read_group_inputs
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
    return _write(output_dir, "participant", *write_methods(preprocessing, mask_sources=sources))


def cite_group_level(output_dir: Path, *, site_map: Mapping[str, str] | None = None) -> Path:
    """The path of ``logs/CITATION.md``, with what the group level did.

    Parameters
    ----------
    output_dir
        Root of the derivative: only steps whose outputs are there are described.
    site_map
        Scan, session or participant to site, where the group level was given one.

    Returns
    -------
    Path
        Written in one go, and only where its text changes; the other level's section stays.

    Raises
    ------
    MissingInputError
        If there is neither participant-level output nor any group table.
    OutputError, StorageError
        If it cannot be written.
    """
    sentences, references = group_methods(read_group_inputs(output_dir, site_map=site_map))
    return _write(output_dir, "group", [" ".join(sentences)], references)


def _write(
    output_dir: Path, level: str, paragraphs: Sequence[str], references: Sequence[str]
) -> Path:
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
