"""Whether a person's harmonized image is still told from other people's; see ``portraits``."""

from dataclasses import dataclass

import pandas as pd

from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.portraits import DIRECTION_COLUMNS
from bids_harmonize.stats import paired_difference_interval, wilson_interval

REIDENTIFICATION_COLUMNS = (
    *DIRECTION_COLUMNS,
    *("n", "gallery", "rank1", "low", "high"),
    *("within", "between", "nearer"),
)


@dataclass(frozen=True)
class Recognition:
    """How many are recognised before and after harmonization; shares add up over source sites.

    Attributes
    ----------
    before, after
        People recognised by their raw and by their harmonized images.
    gained, lost
        Recognised after only, and before only.
    n
        People.
    gallery
        People among whom each was looked for, the fewest of all directions.
    """

    before: float
    after: float
    gained: float
    lost: float
    n: int
    gallery: int

    @property
    def fall(self) -> tuple[float, float]:
        """95 % interval of the share of people who are recognised no longer."""
        return paired_difference_interval(self.lost, self.gained, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share that is recognised after harmonization."""
        return wilson_interval(self.after, self.n)


def reidentification_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a method and direction.

    Parameters
    ----------
    rows
        What :meth:`Portraits.recognise` returns.

    Returns
    -------
    DataFrame
        Columns as in :data:`REIDENTIFICATION_COLUMNS`; the interval is Wilson's.
    """
    found = []
    for key, own in rows.groupby(list(DIRECTION_COLUMNS), sort=True):
        low, high = wilson_interval(float(own["found"].sum()), len(own))
        numbers = {
            "n": len(own),
            "gallery": int(own["gallery"].iloc[0]),
            "rank1": float(own["found"].mean()),
            "low": low,
            "high": high,
            **{name: float(own[name].mean()) for name in ("within", "between", "nearer")},
        }
        found.append({**dict(zip(DIRECTION_COLUMNS, key, strict=True)), **numbers})
    return pd.DataFrame(found, columns=list(REIDENTIFICATION_COLUMNS))


def recognition(rows: pd.DataFrame, method: str) -> Recognition | None:
    """Who is recognised before and after a method.

    Parameters
    ----------
    rows
        What :meth:`Portraits.recognise` returns.
    method
        A harmonizer.

    Returns
    -------
    Recognition or None
        ``None`` where nobody was looked for.
    """
    shares = rows.pivot_table(index="participant_id", columns="method", values="found")
    if method not in shares.columns or IDENTITY not in shares.columns:
        return None
    both = shares[[IDENTITY, method]].dropna()
    change = both[method] - both[IDENTITY]
    return Recognition(
        before=float(both[IDENTITY].sum()),
        after=float(both[method].sum()),
        gained=float(change.clip(lower=0).sum()),
        lost=float((-change).clip(lower=0).sum()),
        n=len(both),
        gallery=int(rows.loc[rows["method"] == method, "gallery"].min()),
    )
