"""Whether a site probe still names the site, on scans that the harmonizer was not fitted on.

A frozen probe is fooled by any change of the images, so it never stands alone: the reseeded one
is the same network trained again on harmonized images, and the converged one is trained longer.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bids_harmonize.imaging.intensity import histogram_shares
from bids_harmonize.metrics.siteness import balanced_accuracy, mmd
from bids_harmonize.stages.classification.predictions import person_probabilities
from bids_harmonize.stages.harmonization.halves import LEAST_PER_HALF
from bids_harmonize.stats import mean_proportion_interval, permutation_quantile
from bids_harmonize.training.volumes import VolumeSource

PROBE_COLUMNS = (
    "method",
    "probe",
    "sites",
    "seed",
    "balanced_accuracy",
    "low",
    "high",
    "train_accuracy",
    "chance",
    "share_reference",
    "null_q001",
    "leak_suspected",
    "mmd",
    "n",
)
N_PERMUTATIONS = 1000


def too_small_half(
    site_of: Mapping[str, str], halves: Sequence[frozenset[str]], sites: Sequence[str]
) -> str | None:
    """Why nothing can be told about site removal, or ``None`` if it can.

    Parameters
    ----------
    site_of
        Participant to site.
    halves
        The participants of each half; empty where no half models were fitted.
    sites
        The trained sites.

    Returns
    -------
    str or None
        A sentence that names the half and the site.
    """
    if len(halves) < 2:
        return (
            "no harmonizer was fitted on halves of the participants; the stage harmonize fits "
            "them where it runs together with evaluate and there are enough people"
        )
    for number, half in enumerate(halves, start=1):
        for site in sites:
            n_own = sum(site_of.get(person) == site for person in half)
            if n_own < LEAST_PER_HALF:
                return (
                    f"half {number} has {n_own} participants of {site}, "
                    f"at least {LEAST_PER_HALF} are needed"
                )
    return None


def probe_row(
    predictions: pd.DataFrame, *, probe: str, reference_site: str, rng: np.random.Generator
) -> dict[str, object]:
    """The numbers of one probe.

    Parameters
    ----------
    predictions
        One row a scan: key, participant_id, site, fold, ``p_<site>``.
    probe
        ``frozen``, ``reseeded``, ``converged`` or ``forest``; a leak can only be suspected from
        those that were trained anew.
    reference_site
        The site that the others were brought to.
    rng
        Source of the permutations.

    Returns
    -------
    dict
        balanced_accuracy, low, high, chance, share_reference, null_q001, leak_suspected, n.
    """
    people = person_predictions(predictions)
    true, predicted = list(people["site"]), list(people["predicted"])
    value = balanced_accuracy(true, predicted)
    right = people["site"] == people["predicted"]
    of_site = right.groupby(people["site"]).agg(["sum", "count"])
    low, high = mean_proportion_interval(
        [(int(k), int(n)) for k, n in zip(of_site["sum"], of_site["count"], strict=True)]
    )
    null = permutation_quantile(
        true, predicted, list(people["fold"]), balanced_accuracy, rng=rng, n=N_PERMUTATIONS
    )
    from_sources = people[people["site"] != reference_site]
    return {
        "probe": probe,
        "balanced_accuracy": value,
        "low": low,
        "high": high,
        "chance": 1 / people["site"].nunique(),
        "share_reference": float((from_sources["predicted"] == reference_site).mean())
        if probe == "frozen" and reference_site in set(people["site"])
        else np.nan,
        "null_q001": null,
        "leak_suspected": None if probe == "frozen" else value < null,
        "n": len(people),
    }


def person_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """One prediction a person and site: probabilities are averaged over the scans first.

    Parameters
    ----------
    predictions
        One row a scan, with ``p_<site>`` columns.

    Returns
    -------
    DataFrame
        participant_id, site, fold, predicted.
    """
    return person_probabilities(predictions)[["participant_id", "site", "fold", "predicted"]]


def histogram_mmd(images: VolumeSource, *, reference_site: str) -> float:
    """Distance of the source sites' brain intensity histograms to those of the reference.

    Parameters
    ----------
    images
        The scans, harmonized or not.
    reference_site
        The site that the others were brought to.

    Returns
    -------
    float
        Squared maximum mean discrepancy, mean over source sites; about 0 is best. NaN where the
        reference is known by its card and none of its scans is here.

    References
    ----------
    Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html
    """
    features: dict[str, list[np.ndarray]] = {}
    for index, scan in enumerate(images.scans):
        inside = images.volume(index)[images.brain_mask(index)]
        features.setdefault(scan.site, []).append(histogram_shares(inside))
    samples = {site: np.stack(rows) for site, rows in features.items()}
    if reference_site not in samples:
        return float("nan")
    reference = samples.pop(reference_site)
    return float(np.mean([mmd(sample, reference) for sample in samples.values()]))
