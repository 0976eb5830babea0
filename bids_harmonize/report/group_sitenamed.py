"""What each person's site was taken for, from group_sitepredictions.tsv.

People are counted here as in the accuracy: a person's scans at a site are averaged first.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_harmonize.report.group_siteanswers import texts
from bids_harmonize.report.group_words import is_true

UNSEEN_WORDS = "no trained site"


@dataclass(frozen=True, eq=False)
class Confusion:
    """True sites (rows), what they were named as (columns), and people in each cell.

    Attributes
    ----------
    sites
        Names of the rows.
    answers
        Names of the columns: the sites, and :data:`UNSEEN_WORDS` where a scan was called so.
    counts
        Integer, shape (n_sites, n_answers).
    """

    sites: tuple[str, ...]
    answers: tuple[str, ...]
    counts: np.ndarray

    @property
    def n_right(self) -> int:
        """People on the diagonal."""
        rows = range(len(self.sites))
        return int(sum(self.counts[row, self.answers.index(self.sites[row])] for row in rows))

    def mistakes(self) -> list[tuple[str, str, int, int]]:
        """True site, other site that it was named as, people, of how many; the most first."""
        found = [
            (site, answer, int(self.counts[row, column]), int(self.counts[row].sum()))
            for row, site in enumerate(self.sites)
            for column, answer in enumerate(self.answers)
            if answer not in (site, UNSEEN_WORDS) and self.counts[row, column]
        ]
        return sorted(found, key=lambda cell: (-cell[2], -cell[2] / cell[3], cell[0], cell[1]))


def tested_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Scans of people whom a fold left out, with a site and an answer."""
    known = table["predicted"].notna() & table["site"].notna()
    return table[known & (texts(table, "fold") != "")]


def new_rows(table: pd.DataFrame) -> pd.DataFrame:
    """New scans that a finished model was asked about, of sites that it knows."""
    sites = [name.removeprefix("p_") for name in table.columns if name.startswith("p_")]
    is_new = (texts(table, "fold") == "") & (texts(table, "trained_on").str.lower() == "false")
    return table[is_new & texts(table, "site").isin(sites)]


def confusion_of(rows: pd.DataFrame, *, unseen_apart: bool = False) -> Confusion:
    """Who was taken for whom.

    Parameters
    ----------
    rows
        Scans: participant_id, site, predicted, and where they are known ``p_<site>`` and
        unseen_site.
    unseen_apart
        Whether people with a scan that looks like no trained site get a column of their own.

    Returns
    -------
    Confusion
        Sites in alphabetical order.
    """
    people = texts(rows, "participant_id")
    if (people == "").any():  # a table without people: every scan stands for itself
        people = pd.Series([str(place) for place in range(len(rows))], index=rows.index)
    columns = [name for name in rows.columns if name.startswith("p_")]
    shares = rows[columns].apply(pd.to_numeric, errors="coerce")
    named: dict[tuple[str, str], int] = {}
    for (site, _), own in rows.groupby([rows["site"].astype(str), people]):
        answer = _answer(own, shares.loc[own.index], unseen_apart=unseen_apart)
        if answer is not None:
            named[str(site), answer] = named.get((str(site), answer), 0) + 1
    sites = tuple(sorted({site for site, _ in named}))
    answers = {answer for _, answer in named} | set(sites)
    last = (UNSEEN_WORDS,) if UNSEEN_WORDS in answers else ()
    columns_ = (*sorted(answers - {UNSEEN_WORDS}), *last)
    counts = np.array([[named.get((a, b), 0) for b in columns_] for a in sites], dtype=int)
    return Confusion(sites, columns_, counts.reshape(len(sites), len(columns_)))


def _answer(own: pd.DataFrame, shares: pd.DataFrame, *, unseen_apart: bool) -> str | None:
    """What one person's scans at one site were named as, all together."""
    if unseen_apart and texts(own, "unseen_site").map(is_true).any():
        return UNSEEN_WORDS
    if len(own) > 1 and shares.shape[1] and shares.notna().to_numpy().all():
        return str(shares.mean().idxmax()).removeprefix("p_")
    first = own["predicted"].iloc[0]
    return None if first is None or pd.isna(first) else str(first)
