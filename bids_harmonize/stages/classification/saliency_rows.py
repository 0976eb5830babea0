"""Rows of the saliency tables from numbers of single scans: means, intervals, passed or not."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from bids_harmonize.bids.study import Study
from bids_harmonize.stages.classification.evidence import SaliencyEvidence
from bids_harmonize.stats import bootstrap_interval
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.saliency import DEFAULT_METHOD

AGREEMENT_LIMIT: Final = 0.5  # a quarter of the variance of the ranks
ALL_SITES: Final = "all"


def share_rows(
    study: Study,
    shares: Mapping[str, tuple[float, float]],
    other_shares: Mapping[tuple[str, str], tuple[float, float]],
) -> list[dict[str, Any]]:
    """Rows of group_saliency.tsv.

    Parameters
    ----------
    study
        Whose scans they are.
    shares
        Scan to the default map's share inside the brain and its ratio to the brain's share of the
        head.
    other_shares
        The same of other methods, by scan and method.

    Returns
    -------
    list of dict
        One row a scan and method, sorted by file name; the default method comes first.
    """
    found = [(key, DEFAULT_METHOD, share) for key, share in shares.items()]
    found += [(key, method, share) for (key, method), share in other_shares.items()]
    rows = []
    for key, method, (in_brain, ratio) in found:
        scan = study.scan(key)
        rows.append(
            {
                "filename": scan.t1w.relative_to(study.output_dir).as_posix(),
                "participant_id": scan.participant_id,
                "site": scan.site,
                "method": method,
                "in_brain": in_brain,
                "brain_ratio": ratio,
            }
        )
    return sorted(rows, key=lambda row: row["filename"])


def deletion_rows(evidence: SaliencyEvidence, *, seed: int) -> list[dict[str, Any]]:
    """Rows of group_saliencydeletion.tsv.

    Parameters
    ----------
    evidence
        Of single scans.
    seed
        Of the bootstrap.

    Returns
    -------
    list of dict
        Mean over participants of a site with bootstrap interval, one row an order and share.
    """
    keys = ["site", "order", "removed_fraction"]
    people = evidence.curves.groupby([*keys, "participant_id"], as_index=False).mean()
    rows = []
    for (site, order, fraction), own in people.groupby(keys, sort=True):
        rng = seeded_generator(seed, "saliency deletion", str(site), str(order), str(fraction))
        low, high = bootstrap_interval(own["log_odds"].to_numpy(), rng=rng)
        rows.append(
            {
                "site": site,
                "order": order,
                "removed_fraction": fraction,
                "n": len(own),
                "log_odds": float(own["log_odds"].mean()),
                "log_odds_low": low,
                "log_odds_high": high,
            }
        )
    return sorted(rows, key=lambda row: (row["site"], row["order"] == "random"))


def check_rows(evidence: SaliencyEvidence, *, seed: int) -> list[dict[str, Any]]:
    """Rows of group_saliencychecks.tsv.

    Parameters
    ----------
    evidence
        Of single scans.
    seed
        Of the bootstrap.

    Returns
    -------
    list of dict
        One row a check and site, and one of all sites' people together (site ``all``). Deletion
        passes where the interval of the area lies above 0, randomisation where the interval of
        the rank correlation lies below 0.5; ``None`` where there is no interval.
    """
    columns = ["deletion", "randomisation"]
    people = evidence.checks.groupby(["site", "participant_id"], as_index=False)[columns].mean()
    groups = [(str(site), own) for site, own in people.groupby("site", sort=True)]
    rows = []
    for check in columns:
        for site, own in [*groups, (ALL_SITES, people)]:
            values = own[check].dropna().to_numpy()
            rng = seeded_generator(seed, "saliency check", check, site)
            low, high = bootstrap_interval(values, rng=rng)
            passed = low > 0 if check == "deletion" else high < AGREEMENT_LIMIT
            rows.append(
                {
                    "check": check,
                    "site": site,
                    "method": DEFAULT_METHOD,
                    "n": len(values),
                    "value": float(values.mean()) if len(values) else float("nan"),
                    "low": low,
                    "high": high,
                    "passed": None if np.isnan(low) else bool(passed),
                }
            )
    return rows
