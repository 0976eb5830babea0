"""The gap between clusters of the cases, beside the gaps in people of one kind."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Figure, Paragraph
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_subtypearms import (
    ALPHA,
    beside,
    chosen_row,
    n_clusters,
    searched_arms,
)
from bids_harmonize.report.group_subtypefigures import NullPanel, draw_nulls
from bids_harmonize.report.group_words import p_value

_NULLS = {"full": ("p_null_full", "whole search"), "subspace": ("p_null_subspace", "directions")}
"""Word of the table: the column of its p, and what the panel is called."""
_OBSERVED = 0  # number of the row of the cases


def null_blocks(inputs: GroupInputs) -> list[Block]:
    """Histograms of both nulls, a line an arm; nothing where no arm has two clusters.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A figure, and a paragraph for arms whose draws are not there.
    """
    arms = [arm for arm in searched_arms(inputs) if n_clusters(chosen_row(inputs, arm)) > 1]
    table = inputs.tables.get("subtypenulls")
    lines = {arm: _panels(table, arm, chosen_row(inputs, arm)) for arm in arms}
    drawn = {arm: panels for arm, panels in lines.items() if panels}
    found: list[Block] = []
    if drawn:
        found.append(
            Figure(
                title="Is the gap wider than in people of one kind?",
                source=draw_nulls(drawn),
                alt="Histograms of the gaps in drawn people, and a line at that of the cases.",
                reading=_reading(inputs, list(drawn)),
            )
        )
    missing = [arm for arm in arms if arm not in drawn]
    if missing:
        text = (
            f"group_subtypenulls.tsv has no draws of the arm {', '.join(missing)} (an earlier "
            "version kept none), so its nulls are not drawn: run the stage subtypes again."
        )
        found.append(Paragraph(text, "absent"))
    return found


def _panels(table: pd.DataFrame | None, arm: str, row: pd.Series) -> list[NullPanel]:
    """Both nulls of an arm, as far as they were drawn for the chosen number of clusters."""
    if table is None:
        return []
    own = table[(table["arm"] == arm) & (table["k"] == row["k"])]
    panels = []
    for word, (_, name) in _NULLS.items():
        gaps = own[own["null"] == word].dropna(subset=["separation"])
        of_cases = gaps.loc[gaps["draw"] == _OBSERVED, "separation"]
        draws = gaps.loc[gaps["draw"] > _OBSERVED, "separation"]
        if len(of_cases) and len(draws):
            panels.append(NullPanel(name, float(of_cases.iloc[0]), draws.to_numpy()))
    return panels


def _reading(inputs: GroupInputs, arms: list[str]) -> str:
    told = []
    for arm in arms:
        row = chosen_row(inputs, arm)
        ps = [beside(row[name], ALPHA, p_value(row[name])) for name, _ in _NULLS.values()]
        words = [p if p.startswith("<") else f"= {p}" for p in ps]
        told.append(f"{arm} p {words[0]} (whole search) and p {words[1]} (directions)")
    return (
        f"{'; '.join(told)}. Bars: the gap (dip) between the two nearest clusters of people drawn "
        "from one Gaussian blob, put through the whole search, or drawn in the chosen directions. "
        "Line: the gap of the cases, by the same search. p: the share of draws that are as far "
        "apart as the cases, these among them. Drawing stops at 10 such draws, so where the line "
        "lies within the bars they are few."
    )
