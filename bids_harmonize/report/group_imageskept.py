"""What harmonization leaves of a person and of a lesion: the tables on what is kept in images."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_methods_table import reading_order
from bids_harmonize.report.group_words import (
    method_words,
    number,
    percent,
    percent_interval,
    scanned_words,
    with_interval,
)

_READING = (
    "Each travelling subject's scan is looked up among the real scans of the target site's people "
    "(where nobody who travels was scanned there: among scans of another source site), by the "
    "correlation of brains laid on the template, their size taken out. A method that makes "
    "everybody alike loses people here, however near its images come on average. Scan and rescan: "
    "the person's second scan at the site, not harmonized."
)
_LESION_READING = (
    "A ball of 5 mm or more is put into bright tissue deep in the brain; the scan is harmonized "
    "with and without it. Contrast and volume are what the difference of the two shows over what "
    "was put in: 1 is all of it. Away: the largest change 15 mm beyond, over what was put in."
)


def lesion_blocks(inputs: GroupInputs) -> list[Block]:
    """The table of group_lesions.tsv; nothing where no trained model is there.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        For the section on harmonization.
    """
    table = inputs.tables.get("lesions")
    if table is None:
        return []
    rows: list[list[str | Cell]] = [
        [
            Cell(method_words(str(row["method"])), "strong"),
            str(row["source_site"]),
            str(row["lesion"]),
            str(int(row["n"])),
            with_interval(row["contrast"], row["contrast_low"], row["contrast_high"]),
            with_interval(row["volume"], row["volume_low"], row["volume_high"]),
            number(row["away"], 3),
        ]
        for _, row in table.iterrows()
    ]
    return [
        make_table(
            "Is a lesion kept?",
            {
                "method": False, "scanned at": False, "lesion": False, "people": True,
                "contrast kept": True, "volume kept": True, "away": True,
            },
            rows,
            reading=_LESION_READING,
        )
    ]  # fmt: skip


def recognition_blocks(inputs: GroupInputs) -> list[Block]:
    """The table of group_reidentification.tsv; nothing where no travelling subject is there.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        For the section on travelling subjects.
    """
    table = inputs.tables.get("reidentification")
    if table is not None:
        return [_table(table, chosen=inputs.chosen_method)]
    if inputs.tables.get("travelling") is None:
        return []
    text = (
        "There is no group_reidentification.tsv: whether people are still recognised was not "
        "judged (scans have no way to the template, or the stage evaluate has not run since)."
    )
    return [Paragraph(text, "absent")]


def _table(table: pd.DataFrame, *, chosen: str | None) -> Block:
    place = {name: n for n, name in enumerate(reading_order(table["method"], chosen=chosen))}
    ordered = table.assign(_place=table["method"].map(place))
    rows: list[list[str | Cell]] = [
        [
            Cell(scanned_words(str(row["method"])), "strong"),
            _sites(str(row["source_site"]), str(row["target_site"])),
            str(int(row["n"])),
            percent_interval(row["rank1"], row["low"], row["high"]),
            str(int(row["gallery"])),
            percent(row["nearer"]),
            f"{number(row['within'], 3)}, {number(row['between'], 3)}",
        ]
        for _, row in ordered.sort_values(["source_site", "_place"], kind="stable").iterrows()
    ]
    return make_table(
        "Is the person still recognised?",
        {
            "images": False, "sites": False, "people": True, "recognised": True, "among": True,
            "others further away": True, "distance from oneself, others": True,
        },
        rows,
        reading=_READING,
    )  # fmt: skip


def _sites(source: str, target: str) -> str:
    return f"{target}, twice" if source == target else f"{source} in {target}"
