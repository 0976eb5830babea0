"""Whether a person is told to be a case: what the AUC within sites allows to be said."""

import pandas as pd

from bids_harmonize.report.group_disorderarms import arms_of, best_arm, pooled_row
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import is_number, number, p_value, with_interval

CHANCE_AUC = 0.5
POOR_AUC = 0.7  # below, discrimination is poor (Hosmer and Lemeshow 2000, ISBN 0471356328)
_CHANCE_P = 0.05


def told_row(inputs: GroupInputs, table: pd.DataFrame) -> tuple[str, pd.Series] | None:
    """The arm that is spoken of and its row of all held-out sites; ``None`` without one."""
    told = inputs.tables.get("classification")
    if told is None:
        return None
    arm = best_arm(table)
    arm = arm if arm in arms_of(told) else best_arm(told)
    row = pooled_row(told, arm)
    return None if row is None else (arm, row)


def is_shown(row: pd.Series) -> bool:
    """Whether interval and permutations both put the AUC above chance."""
    p = row["p_permutation"]
    return (
        is_number(row["low"]) and row["low"] > CHANCE_AUC and not (is_number(p) and p >= _CHANCE_P)
    )


def auc_words(row: pd.Series) -> str:
    """The AUC with its interval and p."""
    p = p_value(row["p_permutation"])
    p = p if p.startswith("<") else f"= {p}"
    return f"AUC {with_interval(row['auc'], row['low'], row['high'])}, p {p}"


def told_claims(inputs: GroupInputs, table: pd.DataFrame) -> list[str]:
    """What may be said of telling people; empty where they are not told better than by chance."""
    found = told_row(inputs, table)
    if found is None or not is_shown(found[1]):
        return []
    arm, row = found
    return [
        "A case of a site that nobody learnt from scores higher than a control of that site more "
        f"often than by chance ({auc_words(row)}; arm {arm})."
    ]


def not_told_claims(inputs: GroupInputs, table: pd.DataFrame) -> list[str]:
    """What may not be said of it."""
    found = told_row(inputs, table)
    if found is None:
        return ["That a person can be told to be a case: nobody was asked at a site left out."]
    _, row = found
    if not is_number(row["low"]):
        return [
            f"That a person can be told to be a case: the AUC ({number(row['auc'])}) has no "
            "interval. Few people, or all told rightly: look for what gives the group away."
        ]
    if row["high"] < CHANCE_AUC:
        return [
            f"That a person can be told to be a case: {auc_words(row)}, below chance; what was "
            "learnt at other sites points the wrong way."
        ]
    if not is_shown(row):
        reason = "interval holds .5" if row["low"] <= CHANCE_AUC else "p is not below .05"
        return [f"That a person can be told to be a case: {auc_words(row)}; the {reason}."]
    if row["auc"] < POOR_AUC:
        return [f"An AUC of {number(row['auc'])} is too little for any use on a single person."]
    return [
        f"An AUC of {number(row['auc'])} is no diagnosis: it compares people whose group was "
        "known, at sites like these, in the shares in which they were asked."
    ]
