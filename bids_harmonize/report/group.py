"""The group page: ``group.html``, made from files on disk only."""

from collections.abc import Mapping
from pathlib import Path

from bids_harmonize.bids.names import group_page
from bids_harmonize.report.group_about import about_section
from bids_harmonize.report.group_classification import classification_section
from bids_harmonize.report.group_disorder import disorder_section
from bids_harmonize.report.group_harmonization import harmonization_section
from bids_harmonize.report.group_headline import headline_section
from bids_harmonize.report.group_inputs import GroupInputs, read_group_inputs
from bids_harmonize.report.group_proof import probe_section, verdict_section
from bids_harmonize.report.group_quality import quality_section
from bids_harmonize.report.group_study import study_section
from bids_harmonize.report.group_subtypes import subtypes_section
from bids_harmonize.report.group_tissue import tissue_section
from bids_harmonize.report.page import render_page, write_page


def write_group_page(output_dir: Path, *, site_map: Mapping[str, str] | None = None) -> Path:
    """Write ``group.html`` from what earlier steps left in the output dataset.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    site_map
        Scan, session or participant to site, where the group level was given one.

    Returns
    -------
    Path
        The page: one file that opens without network; a section without its table says why.

    Raises
    ------
    MissingInputError
        If there is neither participant-level output nor any group table.
    """
    inputs = read_group_inputs(output_dir, site_map=site_map)
    return write_page(group_page(output_dir), make_group_page(inputs))


def make_group_page(inputs: GroupInputs) -> str:
    """The group page's HTML.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    str
        A complete, self-contained document.
    """
    sections = (
        headline_section(inputs),
        study_section(inputs),
        quality_section(inputs),
        classification_section(inputs),
        harmonization_section(inputs),
        tissue_section(inputs),
        probe_section(inputs),
        disorder_section(inputs),
        subtypes_section(inputs),
        verdict_section(inputs),
        about_section(inputs),
    )
    context = {
        "dataset": str(inputs.dataset.get("Name") or inputs.output_dir.resolve().name),
        "run_id": inputs.run.run_id if inputs.run else None,
        "sections": sections,
    }
    return render_page("group.html.j2", context)
