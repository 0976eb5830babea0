"""What the tables of subtypes have in common: the chosen row of an arm, people, conditions."""

from typing import Final

import pandas as pd

from bids_harmonize.report.group_disorderarms import arms_of, best_arm
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    MISSING,
    count,
    is_number,
    listing,
    number,
    p_value,
)
from bids_harmonize.stats.verdict import Effort

OURS: Final = "mixture"
ALPHA: Final = Effort.alpha
LEAST_ARI: Final = Effort.least_ari
LARGE_V: Final = 0.3  # Cohen 1988, ISBN 0805802835: w of medium size
NULLS: Final = {
    "p_null_full": "one blob of all features, put through the whole search",
    "p_null_subspace": "one blob in the chosen directions",
}
STABILITIES: Final = {
    "bootstrap_ari": "in resampled people",
    "splithalf_ari": "in halves",
    "leavesite_ari": "where a site is left out",
}
_MOST_DECIMALS = 4


def searched_arms(inputs: GroupInputs) -> list[str]:
    """The arms that have a verdict, raw first."""
    table = inputs.tables.get("subtypevalidity")
    if table is None or not {"arm", "method", "verdict"} <= set(table):
        return []
    return [arm for arm in arms_of(table) if _rows(table, arm).any()]


def best_first(inputs: GroupInputs) -> list[str]:
    """The same arms, the one that does most about the site first."""
    arms = searched_arms(inputs)
    if not arms:
        return []
    table = inputs.tables["subtypevalidity"]
    best = best_arm(table[table["arm"].isin(arms)])
    return [best, *(arm for arm in reversed(arms) if arm != best)]


def chosen_row(inputs: GroupInputs, arm: str) -> pd.Series:
    """The row of the number of clusters that describes the cases of a searched arm best."""
    table = inputs.tables["subtypevalidity"]
    row: pd.Series = table[_rows(table, arm)].iloc[0]
    return row


def _rows(table: pd.DataFrame, arm: str) -> pd.Series:
    of_arm = (table["arm"] == arm) & (table["method"] == OURS)
    return of_arm & (table["chosen"] == 1) & table["verdict"].notna()


def n_clusters(row: pd.Series) -> int:
    """Number of clusters of a chosen row."""
    return int(row["k"]) if is_number(row["k"]) else 1


def noun(row: pd.Series) -> str:
    """Clusters are called subtypes only where the verdict is discrete."""
    return "subtype" if row["verdict"] == "discrete" else "cluster"


def cluster_sizes(inputs: GroupInputs, arm: str) -> list[int]:
    """People of each cluster, the first first; empty where it is not known."""
    table = inputs.tables.get("subtypes")
    if table is None or "arm" not in table:
        return []
    own = table.loc[table["arm"] == arm, "subtype"].dropna().astype(int)
    if own.empty:
        return []
    return [int((own == label).sum()) for label in range(1, own.max() + 1)]


def cases_words(inputs: GroupInputs, arm: str) -> str:
    """Such as "the 120 cases"; "the cases" where their number is not known."""
    sizes = cluster_sizes(inputs, arm)
    return f"the {sum(sizes)} cases" if sizes else "the cases"


def directions_words(row: pd.Series) -> str:
    """Such as "2 directions"."""
    n = row["n_dimensions"]
    return count(int(n), "direction") if is_number(n) else "some directions"


def rejects(row: pd.Series, null: str) -> bool:
    """Whether the gap is wider than in a null."""
    return bool(row[null] <= ALPHA)


def comes_again(row: pd.Series, index: str) -> bool:
    """Whether clusters come again so often as discrete asks for; not where nobody could ask."""
    return is_number(row[index]) and bool(row[index] >= LEAST_ARI)


def null_words(row: pd.Series, null: str) -> str:
    """Such as "one blob in the chosen directions (p = 0.010)"."""
    text = beside(row[null], ALPHA, p_value(row[null]))
    return f"{NULLS[null]} (p {text if text.startswith('<') else f'= {text}'})"


def ari_words(row: pd.Series, index: str) -> str:
    """Such as "in halves (0.52)"."""
    return f"{STABILITIES[index]} ({beside(row[index], LEAST_ARI, number(row[index]))})"


def failed_words(row: pd.Series) -> str:
    """Which conditions of discrete do not hold, as the end of a sentence.

    Parameters
    ----------
    row
        Of the chosen number of clusters, two or more.

    Returns
    -------
    str
        Empty where all hold.
    """
    nulls = [null_words(row, null) for null in NULLS if not rejects(row, null)]
    known = [index for index in STABILITIES if is_number(row[index])]
    unstable = [ari_words(row, index) for index in known if not comes_again(row, index)]
    unasked = [words for index, words in STABILITIES.items() if index not in known]
    parts = []
    if nulls:
        parts.append(
            f"the gap between them is not shown to be wider than in {' or in '.join(nulls)}"
        )
    if unstable:
        parts.append(
            f"they do not come again often enough {listing(unstable)}; at least {LEAST_ARI:.2f} "
            "is asked for"
        )
    if unasked:
        parts.append(f"whether they come again {listing(unasked)} could not be asked")
    return ", and ".join(parts)


def beside(value: float, limit: float, text: str) -> str:
    """The text, or more decimals where it would read like a limit that the value is not.

    Examples
    --------
    >>> beside(0.5953, 0.6, "0.60"), beside(0.6, 0.6, "0.60"), beside(0.57, 0.6, "0.57")
    ('0.595', '0.60', '0.57')
    """
    if text == MISSING or value == limit:
        return text
    decimals = len(text.partition(".")[2])
    while text == number(limit, decimals) and decimals < _MOST_DECIMALS:
        decimals += 1
        text = number(value, decimals)
    return text
