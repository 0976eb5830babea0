"""How much of what differs between two sites a trained model took for the site's."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bids_harmonize.training.targets import SiteShares

SITE_SHARES: Final = "site_shares"
"""Key in ``learnt``, and so in ``model.json``."""

_WORDS = """\
## What was taken for the site's
One tone curve for the whole head is taken at face value. Of what differs beyond it this share was
taken for the site's, 1 being all; people's own differences explain the rest. Near 0 the curve is
all that tells the sites apart, or so few people were scanned that nothing more can be seen.

| from | to | intensity | gradient |
|---|---|---|---|
"""


def share_rows(shares: Mapping[tuple[str, str], SiteShares]) -> list[dict[str, Any]]:
    """Shares as ``model.json`` keeps them.

    Parameters
    ----------
    shares
        Site of origin and target site to their shares.

    Returns
    -------
    list of dict
        ``from``, ``to``, ``intensity``, ``gradient``.
    """
    return [
        {"from": origin, "to": target, **found._asdict()}
        for (origin, target), found in shares.items()
    ]


def read_shares(learnt: Mapping[str, Any]) -> dict[tuple[str, str], SiteShares]:
    """The shares in ``learnt``; empty for a model of plain means, or of an older version."""
    return {
        (row["from"], row["to"]): SiteShares(row["intensity"], row["gradient"])
        for row in learnt.get(SITE_SHARES, [])
    }


def share_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """The model card's section; empty without rows."""
    if not rows:
        return ""
    return _WORDS + "\n".join(
        f"| {row['from']} | {row['to']} | {row['intensity']:.2f} | {row['gradient']:.2f} |"
        for row in rows
    )
