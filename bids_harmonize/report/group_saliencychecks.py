"""Whether the saliency maps can be trusted: deletion curves and the two checks."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Fold, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import texts
from bids_harmonize.report.group_sitefigures import draw_deletion
from bids_harmonize.report.group_siterecall import COMPACT_SITES
from bids_harmonize.report.group_words import (
    MISSING,
    is_number,
    is_true,
    saliency_words,
    with_interval,
)

CHECK_WORDS = {
    "deletion": "deletion",
    "randomisation": "random weights",
}


def check_blocks(inputs: GroupInputs) -> list[Block]:
    """Deletion curves a site, and the table of checks with the failed ones first.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A paragraph for each table that is absent.
    """
    return [*_deletion_blocks(inputs), *_checks_blocks(inputs)]


def failed_checks(table: pd.DataFrame) -> pd.DataFrame:
    """The checks that were judged and did not pass."""
    passed = texts(table, "passed")
    return table[(passed != "") & ~passed.map(is_true)]


def site_names(table: pd.DataFrame) -> pd.Series:
    """The column ``site`` as the page writes it."""
    return texts(table, "site").replace({"": "all sites", "all": "all sites"})


def _deletion_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("saliencydeletion")
    if table is None or not {"site", "order"} <= set(table.columns):
        text = (
            "There is no group_saliencydeletion.tsv: whether the marked places matter to the "
            "network was not tested by taking them away."
        )
        return [Paragraph(text, "absent")]
    known = table.dropna(subset=["removed_fraction", "log_odds"])
    sites = site_names(known)
    panels = [(site, known[sites == site]) for site in sorted(sites.unique())]
    if not panels:
        return [Paragraph("group_saliencydeletion.tsv holds no number, so no curve.", "absent")]
    figure = Figure(
        title="Do the marked places matter? Deletion curves",
        source=draw_deletion(panels),
        alt="Support for the true site while parts of the head are replaced, by site.",
        reading="More and more of the head is replaced by that of scans of other sites. "
        "Orange: what the map marks most goes first. Blue: blocks at random. If orange falls "
        "faster than blue, the map points at what the network uses. Log odds 0: undecided. "
        "Bands: 95 % intervals.",
        size="wide" if len(panels) > 1 else "",
    )
    if len(panels) > COMPACT_SITES:
        return [Fold(f"{figure.title} of {len(panels)} sites", (figure,))]
    return [figure]


def _checks_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("saliencychecks")
    if table is None:
        text = (
            "There is no group_saliencychecks.tsv: the maps were not checked, so read them with "
            "care."
        )
        return [Paragraph(text, "absent")]
    failed = set(failed_checks(table).index)
    order = table.assign(_passed=[index not in failed for index in table.index])
    order = order.sort_values("_passed", kind="stable")
    rows: list[list[str | Cell]] = [
        [
            Cell(CHECK_WORDS.get(str(row.get("check")), str(row.get("check"))), "strong"),
            _outcome(row),
            place,
            with_interval(row["value"], row["low"], row["high"]),
            str(int(row["n"])) if is_number(row["n"]) else MISSING,
            saliency_words(row.get("method") or MISSING),
        ]
        for place, row in zip(site_names(order), (row for _, row in order.iterrows()), strict=True)
    ]
    columns = {
        "check": False, "outcome": False, "site": False, "value (95 % interval)": True,
        "people": True, "map by": False,
    }  # fmt: skip
    folded: list[Block] = []
    if site_names(order).nunique() > COMPACT_SITES:
        first = (site_names(order) == "all sites") | ~order["_passed"]
        passed = [row for row, is_first in zip(rows, first, strict=True) if not is_first]
        rows = [row for row, is_first in zip(rows, first, strict=True) if is_first]
        title = f"Checks of the maps that were passed, by site ({len(passed)})"
        folded = [make_table(title, columns, passed, folded=True)]
    return [
        make_table(
            "Checks of the maps",
            columns,
            rows,
            reading="Failed checks stand first. Deletion: how much more the network loses with "
            "the marked places than with random blocks; above 0 is good. Random weights: how "
            "alike the maps of the network and of an untrained one are; near 0 is good. Do not "
            "read meaning into a map that fails.",
        ),
        *folded,
    ]


def _outcome(row: pd.Series) -> Cell:
    passed = row.get("passed")
    if passed is None or pd.isna(passed):
        return Cell("not judged", "muted")
    return Cell("passed", "good") if is_true(passed) else Cell("failed", "bad")
