"""Whether the saliency maps can be trusted: deletion curves and the two checks."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import texts
from bids_harmonize.report.group_sitefigures import draw_deletion
from bids_harmonize.report.group_words import (
    MISSING,
    is_number,
    is_true,
    saliency_words,
    with_interval,
)

CHECK_WORDS = {
    "deletion": "deletion: taking the marked places away hurts most",
    "randomisation": "randomisation: random weights lose the map",
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


def _deletion_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("saliencydeletion")
    if table is None or not {"site", "order"} <= set(table.columns):
        text = (
            "There is no group_saliencydeletion.tsv: whether the marked places matter to the "
            "network was not tested by taking them away."
        )
        return [Paragraph(text, "absent")]
    known = table.dropna(subset=["removed_fraction", "log_odds"])
    sites = texts(known, "site").replace("", "all sites")
    panels = [(site, known[sites == site]) for site in sorted(sites.unique())]
    if not panels:
        return [Paragraph("group_saliencydeletion.tsv holds no number, so no curve.", "absent")]
    return [
        Figure(
            title="Do the marked places matter? Deletion curves",
            source=draw_deletion(panels),
            alt="Support for the true site while parts of the head are taken away, by site.",
            reading="Parts of the head are taken away, more and more to the right. Orange: what "
            "the map marks most goes first. Blue: blocks at random. If orange falls faster than "
            "blue, the map points at what the network uses. Log odds 0: undecided. Bands: 95 % "
            "intervals.",
            size="wide" if len(panels) > 1 else "",
        )
    ]


def _checks_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("saliencychecks")
    if table is None:
        text = (
            "There is no group_saliencychecks.tsv: the maps were not checked, so read them with "
            "care."
        )
        return [Paragraph(text, "absent")]
    failed = set(failed_checks(table).index)
    order = table.assign(_failed=[index not in failed for index in table.index])
    rows: list[list[str | Cell]] = [
        [
            Cell(CHECK_WORDS.get(str(row.get("check")), str(row.get("check"))), "strong"),
            str(row.get("site") or "all sites"),
            saliency_words(row.get("method") or MISSING),
            str(int(row["n"])) if is_number(row["n"]) else MISSING,
            with_interval(row["value"], row["low"], row["high"]),
            _outcome(row),
        ]
        for _, row in order.sort_values("_failed", kind="stable").iterrows()
    ]
    return [
        make_table(
            "Checks of the maps",
            {
                "check": False, "site": False, "map by": False, "scans": True,
                "value (95 % interval)": True, "outcome": False,
            },
            rows,
            reading="Failed checks stand first. Deletion: how much more the network loses by the "
            "marked places than by random blocks; above 0 is good. Randomisation: how alike the "
            "maps of the trained network and of one with random weights are; near 0 is good. A "
            "map that fails a check shows the head, not the decision.",
        )
    ]  # fmt: skip


def _outcome(row: pd.Series) -> Cell:
    passed = row.get("passed")
    if passed is None or pd.isna(passed):
        return Cell("not judged", "muted")
    return Cell("passed", "good") if is_true(passed) else Cell("failed", "bad")
