"""Do the effects lie where a published map has them? Correlation over shared regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bids_harmonize.errors import UsageError
from bids_harmonize.tables.measures import region_key

_NAMES: Final = ("feature", "structure", "region")
_EFFECTS: Final = ("d", "d_icv", "effect", "cohens_d")
MIN_REGIONS: Final = 5
"""Fewer shared regions than this are not correlated."""
N_PERMUTATIONS: Final = 2000


@dataclass(frozen=True, eq=False)
class PublishedMap:
    """Effects that somebody published: name, and region key to effect."""

    name: str
    effects: pd.Series


def read_published(name: str, path: Path) -> PublishedMap:
    """One table of published effects.

    Parameters
    ----------
    name
        How it is called in our tables.
    path
        TSV or CSV with a column ``feature``, ``Structure`` or ``region``, and one ``d``,
        ``d_icv``, ``effect`` or ``cohens_d``, in any case.

    Returns
    -------
    PublishedMap
        Regions with a finite effect.

    Raises
    ------
    UsageError
        If the file cannot be read, lacks a column, or names a region twice.
    """
    try:
        frame = pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        message = f"--compare-map {name}={path}: cannot be read as a table: {error}"
        raise UsageError(message) from None
    lower = {str(column).lower().strip(): column for column in reversed(frame.columns)}
    spelt = next((lower[word] for word in _NAMES if word in lower), None)
    effect = next((lower[word] for word in _EFFECTS if word in lower), None)
    if spelt is None or effect is None:
        found = ", ".join(map(str, frame.columns))
        message = (
            f"--compare-map {name}={path}: expected a column {', '.join(_NAMES)} and a column "
            f"{', '.join(_EFFECTS)}; found: {found}"
        )
        raise UsageError(message)
    keys = frame[spelt].astype(str).map(region_key)
    effects = pd.Series(pd.to_numeric(frame[effect], errors="coerce").to_numpy(), index=keys)
    effects = effects[np.isfinite(effects)]
    twice = sorted(set(effects.index[effects.index.duplicated()]))
    if twice:
        message = (
            f"--compare-map {name}={path}: regions that stand there twice: {', '.join(twice)}"
        )
        raise UsageError(message)
    return PublishedMap(name, effects)


def comparison_row(
    rows: Sequence[dict[str, Any]], published: PublishedMap, *, rng: np.random.Generator
) -> dict[str, Any]:
    """How well one arm's effects go with a published map.

    Parameters
    ----------
    rows
        Of group_casecontrol.tsv, of one arm.
    published
        The map.
    rng
        Permutes regions, for p.

    Returns
    -------
    dict
        A row of group_comparedmaps.tsv: Pearson's r over regions that both have, NaN where they
        are fewer than :data:`MIN_REGIONS`; a region of several of our features is left out.
    """
    keys = pd.Series([region_key(str(row["feature"])) for row in rows])
    own = pd.Series([float(row["d"]) for row in rows], index=keys)
    own = own[~own.index.duplicated(keep=False) & np.isfinite(own)]
    shared = own.index.intersection(published.effects.index)
    r = p = np.nan
    ours, theirs = own[shared].to_numpy(), published.effects[shared].to_numpy()
    if len(shared) >= MIN_REGIONS and np.ptp(ours) > 0 and np.ptp(theirs) > 0:
        r = float(np.corrcoef(ours, theirs)[0, 1])
        dealt = rng.permuted(np.broadcast_to(theirs, (N_PERMUTATIONS, len(theirs))), axis=1)
        centred = (ours - ours.mean()) / (ours.std() * theirs.std() * len(ours))
        reached = np.abs(dealt @ centred) >= abs(r) - 1e-12
        p = float((1 + reached.sum()) / (N_PERMUTATIONS + 1))
    return {
        "arm": rows[0]["arm"],
        "map": published.name,
        "n_regions": len(shared),
        "r": r,
        "p_permutation": p,
    }
