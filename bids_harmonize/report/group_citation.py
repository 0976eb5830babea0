"""The group level's section of ``logs/CITATION.md``.

In a module of its own: what group pages need would double the start of a participant job.
"""

from collections.abc import Mapping
from pathlib import Path

from bids_harmonize.report.citation import write_section
from bids_harmonize.report.group_about import group_methods
from bids_harmonize.report.group_inputs import read_group_inputs


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
    return write_section(output_dir, "group", [" ".join(sentences)], references)
