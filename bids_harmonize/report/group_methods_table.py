"""Look-ups in ``group_methods.tsv`` that several parts of the page share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import NOT_HARMONIZERS, TRAINING_FREE


@dataclass(frozen=True)
class Score:
    """Mean brain PSNR of a method with its 95 % interval, dB; ``n`` counts people."""

    mean: float
    low: float
    high: float
    n: int


def brain_psnr(rows: pd.DataFrame) -> dict[str, Score]:
    """The primary measure of every method.

    Parameters
    ----------
    rows
        Rows of one direction and kind.

    Returns
    -------
    dict
        Method to its score in the brain; methods without a number are absent.
    """
    own = rows[(rows["mask"] == "brain") & (rows["metric"] == "psnr")].dropna(subset=["mean"])
    return {
        str(row["method"]): Score(
            float(row["mean"]), float(row["low"]), float(row["high"]), int(row["n"])
        )
        for row in own.drop_duplicates("method").to_dict("records")
    }


def pooled_brain_psnr(inputs: GroupInputs) -> dict[str, Score]:
    """The primary measure over all source sites; empty where there is none.

    How close images come to the reference, or, where nobody was scanned there, how far a person's
    images of two sites agree.
    """
    table = inputs.tables.get("methods")
    if table is None:
        return {}
    direct = table[table["kind"] == "direct"]
    pooled = table[table["source_site"] == "all"]
    if pooled.empty and direct["source_site"].nunique() == 1:
        pooled = direct
    return brain_psnr(pooled)


def only_agreement(inputs: GroupInputs) -> bool:
    """Whether the primary measure is how far a person's images of two sites agree."""
    table = inputs.tables.get("methods")
    return table is not None and "direct" not in set(table["kind"])


def best_training_free(scores: Mapping[str, Score]) -> str | None:
    """The training-free method (doing nothing included) with the highest mean.

    Parameters
    ----------
    scores
        As :func:`brain_psnr` returns.

    Returns
    -------
    str or None
        Its name in the column ``method``.
    """
    own = {method: score.mean for method, score in scores.items() if method in TRAINING_FREE}
    return max(own, key=lambda method: own[method]) if own else None


def reading_order(methods: Iterable[str], *, chosen: str | None) -> list[str]:
    """Methods as a reader meets them: nothing done, training-free, trained, controls, ceiling."""
    found = set(methods)
    trained = sorted(m for m in found if m not in NOT_HARMONIZERS and m != chosen)
    order = [*TRAINING_FREE, *trained, *([chosen] if chosen else []), "blur", "ceiling"]
    return [method for method in order if method in found]
