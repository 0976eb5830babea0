"""What harmonization does to tissue: agreement between sites, and biology that is still read."""

from collections.abc import Mapping

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    MISSING,
    is_number,
    method_words,
    number,
    p_value,
    scanned_words,
    with_interval,
)

_FEATURES: Mapping[str, str] = {
    "gm_volume_ml": "grey matter",
    "wm_volume_ml": "white matter",
    "csf_volume_ml": "fluid",
    "intracranial_volume_ml": "together",
}
_METRICS: Mapping[str, tuple[str, int]] = {
    "mae": ("mean absolute error (years)", 1),
    "r2": ("variance explained within sites", 2),
    "auc": ("AUC within sites", 2),
}
_SCHEMES: Mapping[str, str] = {
    "within_site": "other people of the site",
    "leave_site_out": "all other sites",
    "across_sites": "other people of all sites",
}
_MODELS: Mapping[str, str] = {
    "ridge": "ridge on tissue volumes",
    "network": "network on images",
}
_AGREEMENT_READING = (
    "The first scan of a travelling subject at each site. ICC(2,1): 1 is full agreement. Bias and "
    "limits of agreement (Bland and Altman) are source minus target in percent. Scan and rescan: "
    "two scans at one site, what cannot be undercut. All regions stand in group_reliability.tsv."
)
_BIOLOGY_READING = (
    "Of people whom the harmonizer has not seen; all figures count within sites. Learnt from "
    "other people of the site, a scanner's effect hardly matters and harmonization can only lose; "
    "learnt from other sites it should gain. p: values dealt anew within sites."
)


def kept_blocks(inputs: GroupInputs) -> list[Block]:
    """Both tables, or why one is not there.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        For the section on tissue.
    """
    return [_agreement(inputs.tables.get("reliability")), biology_block(inputs)]


def _agreement(table: pd.DataFrame | None) -> Block:
    if table is None:
        text = (
            "There is no group_reliability.tsv: whether a person's volumes agree between sites "
            "was not judged (the stage evaluate has not run since, or nobody travels)."
        )
        return Paragraph(text, "absent")
    shown = table[table["feature"].isin(_FEATURES)]
    rows: list[list[str | Cell]] = [
        [
            Cell(_FEATURES[str(row["feature"])], "strong"),
            scanned_words(str(row["method"])),
            _pair(str(row["source_site"]), str(row["target_site"])),
            str(int(row["n"])),
            with_interval(row["icc"], row["icc_low"], row["icc_high"]),
            _limits(row),
            number(row["difference"], 1),
        ]
        for _, row in shown.iterrows()
    ]
    return make_table(
        "A person's volumes at two sites",
        {
            "tissue": False, "images": False, "sites": False, "people": True,
            "ICC(2,1)": True, "bias (limits), %": True, "apart, %": True,
        },
        rows,
        reading=_AGREEMENT_READING,
    )  # fmt: skip


def _pair(source: str, target: str) -> str:
    if source == target:
        return "all sites" if source == "all" else f"{source}, twice"
    return f"{source}, {target}"


def _limits(row: pd.Series) -> str:
    if not is_number(row["bias"]):
        return MISSING
    return with_interval(row["bias"], row["loa_low"], row["loa_high"], 1)


def biology_block(inputs: GroupInputs) -> Block:
    """How well age, sex and group are still read, or why that is not known.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Block
        A table, or a paragraph.
    """
    table = inputs.tables.get("biology")
    if table is None:
        text = (
            "There is no group_biology.tsv: whether age and sex are still read was "
            "not judged (the stage evaluate has not run since, or too few people of a site have "
            "a known age or sex)."
        )
        return Paragraph(text, "absent")
    rows: list[list[str | Cell]] = []
    order = [name for name in ("target", "model", "scheme", "metric") if name in table]
    for _, row in table.sort_values(order, kind="stable").iterrows():
        words, decimals = _METRICS.get(str(row["metric"]), (str(row["metric"]), 2))
        rows.append(
            [
                Cell(str(row["target"]), "strong"),
                _MODELS[str(row.get("model", "ridge"))],
                _SCHEMES.get(str(row["scheme"]), str(row["scheme"])),
                words,
                method_words(str(row["method"])),
                with_interval(row["value"], row["low"], row["high"], decimals),
                p_value(row["p_permutation"]),
                str(int(row["n"])),
            ]
        )
    return make_table(
        "Age, sex and group that are still read",
        {
            "read": False, "by": False, "learnt from": False, "measure": False, "images": False,
            "value": True, "p": True, "people": True,
        },
        rows,
        reading=_BIOLOGY_READING,
    )  # fmt: skip
