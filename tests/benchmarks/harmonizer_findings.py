"""The numbers of one trained harmonizer on one phantom, by the names of ``TARGETS``."""

from collections.abc import Iterable, Mapping, Sequence
from math import nan

import numpy as np
import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.harmonizers import baselines
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.imaging.texture import image_features
from bids_harmonize.stages.evaluate import method_of
from bids_harmonize.stages.evaluation.pairs import plan_pairs, read_scan_images
from tests.benchmarks.harmonizer_structure import Structure
from tests.benchmarks.image_features import median_effect


def table_findings(
    methods: pd.DataFrame, *, method: str, source_site: str, gaps: pd.DataFrame | None = None
) -> dict[str, float]:
    """What group_methods.tsv says of a method in the direction to the reference, in the brain.

    Parameters
    ----------
    methods
        group_methods.tsv.
    method, source_site
        Which rows.
    gaps
        What ``pair_ceiling.gap_to_ceiling`` returns; ``None`` where it was not trained.

    Returns
    -------
    dict
        ``ahead_db``, ``sharpness``, and with ``gaps`` ``gap_ssim`` and ``gap_psnr``.
    """

    def rows_of(table: pd.DataFrame) -> pd.DataFrame:
        own = table[
            (table["kind"] == "direct")
            & (table["mask"] == "brain")
            & (table["source_site"] == source_site)
        ]
        return own.set_index(["metric", "method"])

    means = rows_of(methods)["mean"]
    rivals = [name for name in baselines() if ("psnr", name) in means.index]
    found = {
        "ahead_db": float(means["psnr", method] - max(means["psnr", name] for name in rivals)),
        "sharpness": float(means.get(("sharpness", method), nan)),
    }
    if gaps is not None:
        closed = rows_of(gaps)["gap_to_pair_trained"]
        found |= {f"gap_{metric}": float(closed[metric, method]) for metric in ("ssim", "psnr")}
    return found


def structure_findings(found: Sequence[Structure]) -> dict[str, float]:
    """Means over people; the largest of what must stay 0."""
    table = pd.DataFrame(found)
    means = {name: float(table[name].mean()) for name in ("contrast", "volume", "high_pass")}
    return means | {name: float(table[name].max()) for name in ("away", "outside")}


def probe_findings(probes: pd.DataFrame, *, method: str) -> dict[str, float]:
    """Share of source-site people whom the old probe takes for the reference, if it was asked."""
    if probes.empty:
        return {}
    rows = probes[(probes["method"] == method) & (probes["probe"] == "frozen")]
    return {"old_probe": float(rows["share_reference"].mean())} if len(rows) else {}


def feature_findings(
    study: Study, harmonizer: Harmonizer, *, source_site: str
) -> dict[str, float]:
    """Effect of the site on intensity and texture of the travelling subjects' images.

    Parameters
    ----------
    study
        The derivative.
    harmonizer
        Fitted on it.
    source_site
        Whose scans are harmonized.

    Returns
    -------
    dict
        Median Cohen's d of source against reference: ``feature_raw``, ``feature_harmonized``,
        ``feature_floor`` (second against first scans at the reference), and ``feature_d``, the
        second over the first.
    """
    change = method_of(harmonizer).transform
    groups: dict[str, list[Mapping[str, float]]] = {}
    for pair in plan_pairs(study):
        if pair.kind != "direct" or pair.source_site != source_site:
            continue
        moving = read_scan_images(pair.moving)
        brain = moving.head if moving.brain is None else moving.brain
        if pair.rescan:
            groups.setdefault("again", []).append(image_features(moving.volume, brain))
            continue
        fixed = read_scan_images(pair.fixed)
        fixed_brain = fixed.head if fixed.brain is None else fixed.brain
        made = change(moving, harmonizer.frame.reference_site)
        for name, volume, mask in (
            ("raw", moving.volume, brain),
            ("harmonized", made, brain),
            ("real", fixed.volume, fixed_brain),
        ):
            groups.setdefault(name, []).append(image_features(volume, mask))
    raw, harmonized, floor = (
        median_effect(groups[name], groups["real"]) if len(groups.get(name, ())) > 1 else nan
        for name in ("raw", "harmonized", "again")
    )
    return {
        "feature_raw": raw,
        "feature_harmonized": harmonized,
        "feature_floor": floor,
        "feature_d": harmonized / raw,
    }


def over_seeds(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each number over seeds; ``never_below_db`` is the lowest ``ahead_db``.

    Parameters
    ----------
    found
        One mapping a seed.

    Returns
    -------
    dict
        NaN is left out of means.
    """
    table = pd.DataFrame(list(found))
    means = {
        str(name): float(np.nanmean(table[name])) for name in table if table[name].notna().any()
    }
    return means | {"never_below_db": float(table["ahead_db"].min())}
