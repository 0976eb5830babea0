"""Who was scanned where, and whom the model was only asked about."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import is_own_image, texts
from bids_harmonize.report.group_siterecall import COMPACT_SITES
from bids_harmonize.report.group_words import (
    MISSING,
    STATISTIC_WORDS,
    is_number,
    is_true,
    listing,
    number,
    p_value,
)


def confounding_blocks(inputs: GroupInputs) -> list[Block]:
    """Whether the sites scanned different people.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A table, or a paragraph where it is absent.
    """
    table = inputs.tables.get("siteconfounding")
    if table is None:
        text = (
            "There is no group_siteconfounding.tsv, so whether the sites scanned people of other "
            "age, sex or group was not looked at."
        )
        return [Paragraph(text, "absent")]
    rows: list[list[str | Cell]] = []
    for _, row in table.iterrows():
        statistic = str(row.get("statistic") or "")
        warned = is_true(row.get("warning"))
        rows.append(
            [
                Cell(str(row.get("variable") or MISSING), "strong"),
                Cell("goes with the site", "bad") if warned else Cell("no warning", "muted"),
                number(row["value"]),
                STATISTIC_WORDS.get(statistic, statistic),
                p_value(row["p"]),
                p_value(row["p_holm"]),
                str(int(row["n"])) if is_number(row["n"]) else MISSING,
            ]
        )
    return [
        make_table(
            "Did the sites scan the same kind of people?",
            {
                "what": False, "judged": False, "value": True, "measure": False, "p": True,
                "p (Holm)": True, "people": True,
            },
            rows,
            reading="Value: how strongly the site and the variable go together; 0 if all sites "
            "are alike, 1 if the site alone tells it. p (Holm): corrected for the number of rows. "
            "A warning needs a medium effect (V of 0.3, eta squared of 0.06, or more) and p "
            "(Holm) below 0.05. Where it is given, the model may have named the site by the "
            "people and not by the scanner. No warning is no proof of balance in a small study.",
        )
    ]  # fmt: skip


def asked_blocks(inputs: GroupInputs) -> list[Block]:
    """Scans that no fold tested: travelling or new people, and those of no trained site.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        Empty where there is no such scan.
    """
    table = inputs.tables.get("sitepredictions")
    if table is None:
        return []
    own = table[texts(table, "images").map(is_own_image)]
    asked = own[texts(own, "fold") == ""]
    if asked.empty:
        return []
    judged = (texts(asked, "unseen_site") != "").any()
    rows: list[list[str | Cell]] = []
    sites = texts(asked, "site").replace("", "unknown")
    for site in sorted(sites.unique()):
        scans = asked[sites == site]
        named = texts(scans, "predicted").value_counts()
        rows.append(
            [
                Cell(site, "strong"),
                str(len(scans)),
                listing(f"{name} {n}" for name, n in named.items() if name) or MISSING,
                _n_true(scans, "unseen_site") if judged else MISSING,
                _n_true(scans, "trained_on"),
            ]
        )
    return [
        make_table(
            "Scans that the model was only asked about",
            folded=len(rows) > COMPACT_SITES,
            columns={
                "site": False, "scans": True, "named as": False, "like no trained site": True,
                "trained on": True,
            },
            rows=rows,
            reading="Travelling people, those held back and new scans; they count in no accuracy "
            "of the cross-validation. Like no trained site: the model does not know such images, "
            "its answer is a guess. Trained on: the model has seen this very scan, its answer "
            "proves nothing.",
        )
    ]  # fmt: skip


def _n_true(scans: pd.DataFrame, column: str) -> str:
    return str(int(texts(scans, column).map(is_true).sum()))
