"""What the disorder's tables have in common: their arms, features and words."""

import re
import textwrap
from collections.abc import Mapping

import pandas as pd

from bids_harmonize.report.group_drawing import CYCLE, MARKERS
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_tables import column_descriptions
from bids_harmonize.report.group_words import is_number, listing

ARM_WORDS: Mapping[str, str] = {
    "raw": "not dealt with",
    "covariate": "a covariate of the model",
    "combat": "ComBat, fitted on controls",
    "harmonized": "images brought to the reference site",
}
"""Arm to what is done about the site, from the least to the most."""
ALL_SITES = "all"
CALLED = 0.05
"""False discovery rate at which a feature is said to differ."""

_BEST = ("harmonized", "combat", "covariate", "raw")
_COVARIATES: Mapping[str, str] = {"tiv": "intracranial volume", "sex_m": "sex", "sex_f": "sex"}
_LABEL_LETTERS = 28


def arms_of(table: pd.DataFrame) -> list[str]:
    """The arms of a table, raw first; one that this version does not know stands last.

    Parameters
    ----------
    table
        Any of the disorder's tables.

    Returns
    -------
    list of str
        Each once.
    """
    there = [str(arm) for arm in dict.fromkeys(table["arm"])]
    return [*(arm for arm in ARM_WORDS if arm in there), *sorted(set(there) - set(ARM_WORDS))]


def best_arm(table: pd.DataFrame, order: tuple[str, ...] = _BEST) -> str:
    """The arm that does most about the site: harmonized, else combat, covariate, raw."""
    there = arms_of(table)
    return next((arm for arm in order if arm in there), there[0])


def rows_of_arm(table: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The arm's rows, by feature where the table has features."""
    own = table[table["arm"] == arm]
    return own.set_index("feature") if "feature" in own else own


def ranked(table: pd.DataFrame, arm: str) -> list[str]:
    """Features by the size of their effect in an arm, largest first; an unknown one is last."""
    return list(rows_of_arm(table, arm)["d"].abs().sort_values(ascending=False).index)


def called(table: pd.DataFrame, arm: str) -> list[str]:
    """Features that differ at q < .05 in an arm, largest effect first."""
    q = rows_of_arm(table, arm)["q"]
    return [name for name in ranked(table, arm) if q[name] < CALLED]


def arm_mark(arm: str) -> tuple[str, str]:
    """Colour and marker of an arm, the same in every figure."""
    order = list(ARM_WORDS).index(arm) if arm in ARM_WORDS else len(ARM_WORDS)
    return CYCLE[order], MARKERS[order]


def label_lines(name: str) -> str:
    """A feature's name on one line or two, shortened in the middle where that is too little.

    Examples
    --------
    >>> label_lines("Left-Hippocampus")
    'Left-Hippocampus'
    >>> label_lines("rh_rostralanteriorcingulate_thickness").splitlines()
    ['rh_rostralanteriorcingulate_', 'thickness']
    """
    most = 2 * _LABEL_LETTERS - 8
    if len(name) > most:
        name = f"{name[: most // 2]}\N{HORIZONTAL ELLIPSIS}{name[-most // 2 + 1 :]}"
    spaced = re.sub(r"([_\-. ])", "\\1\0", name)
    lines = [""]
    for part in spaced.split("\0"):
        if len(lines[-1]) + len(part) <= _LABEL_LETTERS or not lines[-1]:
            lines[-1] += part
        else:
            lines.append(part)
    if len(lines) > 2 or max(map(len, lines)) > _LABEL_LETTERS:
        lines = textwrap.wrap(name, _LABEL_LETTERS, break_on_hyphens=False)
    return "\n".join(line.strip() for line in lines)


def named(features: list[str], most: int = 3) -> str:
    """The features in a sentence, the first few by name."""
    more = len(features) - most
    return listing([*features[:most], *([f"{more} more"] if more > 0 else [])])


def comparison_words(inputs: GroupInputs) -> str:
    """Who the controls are and what is adjusted for, as the stage described it; may be empty."""
    arm = column_descriptions(inputs.output_dir, "casecontrol").get("arm")
    text = str(arm.get("Description", "")) if isinstance(arm, dict) else ""
    found = re.search(r"; (?P<who>controls are .+); adjusted for (?P<what>.+)$", text)
    if found is None:
        return ""
    columns = [_COVARIATES.get(name, name) for name in found["what"].split(", ")]
    who = found["who"]
    return f"{who[:1].upper()}{who[1:]}. Adjusted for {listing(dict.fromkeys(columns))}."


def has_given_combat(inputs: GroupInputs) -> bool:
    """Whether the stage described its ComBat as that of another run."""
    arm = column_descriptions(inputs.output_dir, "casecontrol").get("arm")
    levels = arm.get("Levels") if isinstance(arm, dict) else None
    return isinstance(levels, dict) and "another run" in str(levels.get("combat"))


def case_shares(inputs: GroupInputs) -> pd.Series | None:
    """Share of cases at each site that has an estimate of its own; ``None`` where unknown."""
    counts = site_counts(inputs)
    if counts is None:
        return None
    return counts["n_cases"] / (counts["n_cases"] + counts["n_controls"])


def site_counts(inputs: GroupInputs) -> pd.DataFrame | None:
    """Cases and controls of each site that has an estimate of its own; ``None`` where unknown."""
    meta = inputs.tables.get("meta")
    if meta is None:
        return None
    own = rows_of_arm(meta, best_arm(meta))
    own = own[own["site"] != ALL_SITES].drop_duplicates("site").set_index("site")
    return own[["n_cases", "n_controls"]] if len(own) else None


def pooled_row(table: pd.DataFrame, arm: str, model: object = None) -> pd.Series | None:
    """The row of group_classification.tsv of all held-out sites; ``None`` without a number."""
    own = table[(table["arm"] == arm) & (table["held_out_site"] == ALL_SITES)]
    if model is not None:
        own = own[own["model"] == model]
    return own.iloc[0] if len(own) and is_number(own["auc"].iloc[0]) else None
