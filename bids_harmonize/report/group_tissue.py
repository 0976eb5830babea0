"""Section "Tissue volumes" of the group page: volumes by site, their agreement, and biology."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Paragraph, Section, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_tables import column_descriptions
from bids_harmonize.report.group_tissuekept import biology_block, kept_blocks
from bids_harmonize.report.group_words import method_words, number

_KEY, _TITLE = "tissue", "Tissue volumes"
_COLUMNS = {
    "csf_volume_ml": "fluid (mL)",
    "gm_volume_ml": "grey matter (mL)",
    "wm_volume_ml": "white matter (mL)",
    "intracranial_volume_ml": "together (mL)",
}
_READING = (
    "Mean (standard deviation) over people, each the mean of the person's scans at the site. "
    "Sites may have scanned people of other age and sex: a difference between sites is no site "
    "effect by itself, and a smaller one after harmonization no proof that it was removed rightly."
)
_MAX_NAMED = 5


def tissue_section(inputs: GroupInputs) -> Section:
    """Tissue volumes by site, before and after harmonization.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where nothing was measured.
    """
    table = inputs.tables.get("features")
    if table is None:
        text = (
            "There is no group_features.tsv: the stage features has not run, so tissue was not "
            "measured on harmonized images."
        )
        read = [biology_block(inputs)] if "biology" in inputs.tables else []
        return Section(_KEY, _TITLE, (Paragraph(text, "absent"), *read))
    described = column_descriptions(inputs.output_dir, "features")
    blocks: list[Block] = [
        Paragraph(
            "Tissue of every scan before (raw) and after harmonization. A harmonized image is "
            "segmented anew, and its way to the template is looked for on that image; people "
            "who do not travel are harmonized by a model that has not seen them."
        ),
        *(Paragraph(text) for text in _caveats(described)),
        make_table(
            "Tissue by site and arm",
            {
                "site": False, "images": False, "people": True, "scans": True,
                **dict.fromkeys(_COLUMNS.values(), True),
            },
            _rows(table),
            reading=_READING,
        ),
        *kept_blocks(inputs),
    ]  # fmt: skip
    return Section(_KEY, _TITLE, tuple(blocks))


def tissue_words(inputs: GroupInputs) -> list[str]:
    """What was done, for a methods paragraph; empty where nothing was."""
    if "features" not in inputs.tables:
        return []
    return [
        "Volumes of grey matter, white matter and fluid were measured on the scans before and "
        "after harmonization by the same segmentation; people scanned at one site only were "
        "harmonized by a model fitted on the half of the participants to which they do not "
        "belong.",
        *_judged_words(inputs),
    ]


def _judged_words(inputs: GroupInputs) -> list[str]:
    found = []
    if "reliability" in inputs.tables:
        found.append(
            "Agreement of the volumes between sites was described by intraclass correlations "
            "(ICC(2,1)) and limits of agreement on people scanned at several sites."
        )
    if "biology" in inputs.tables:
        found.append(
            "Age and sex were predicted before and after harmonization, from volumes by ridge "
            "regression within sites and from all other sites, and with full effort from images "
            "by a 3D network across sites and from all other sites."
        )
    return found


def _caveats(described: Mapping[str, Any]) -> list[str]:
    """Who was drawn, who has no harmonized row, who was left out: one sentence each."""
    arm, filename = described.get("arm", {}), described.get("filename", {})
    found = []
    if arm.get("Effort") == "quick":
        found.append(f"Not every scan was measured ({arm.get('Sample')}).")
    if why := arm.get("NotHarmonized"):
        found.append(f"Only travelling subjects have a harmonized row: {why}.")
    if left_out := filename.get("LeftOut"):
        named = [f"{stem} ({why})" for stem, why in list(left_out.items())[:_MAX_NAMED]]
        more = f" and {len(left_out) - _MAX_NAMED} more" if len(left_out) > _MAX_NAMED else ""
        found.append(f"Left out of both arms: {', '.join(named)}{more}.")
    return found


def _rows(table: pd.DataFrame) -> list[list[str | Cell]]:
    numbers = table[list(_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    frame = table[["site", "arm", "participant_id"]].join(numbers)
    tools = sorted(set(frame["arm"]) - {"raw", "harmonized"})
    rows: list[list[str | Cell]] = []
    for site in sorted(frame["site"].unique()):
        for arm in ("raw", "harmonized", *tools):
            own = frame[(frame["site"] == site) & (frame["arm"] == arm)]
            if own.empty:
                continue
            people = own.groupby("participant_id")[list(_COLUMNS)].mean()
            cells = [
                f"{number(people[name].mean(), 0)} ({number(people[name].std(), 0)})"
                for name in _COLUMNS
            ]
            counts = [str(len(people)), str(len(own))]
            rows.append([Cell(str(site), "strong"), method_words(arm), *counts, *cells])
    return rows
