"""What a sample of scans tells about the saliency maps: other methods, and the two checks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from bids_harmonize.bids.images import read_grid
from bids_harmonize.imaging.grid import Grid
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.maps import (
    has_template_transform,
    network_affine,
    template_grid,
    template_to_scan,
)
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel
from bids_harmonize.stages.classification.saliency import QUICK_MAPS_PER_SITE
from bids_harmonize.stages.classification.saliency_sample import (
    AskedScan,
    asked_scans,
    draw_other_scans,
    sample_scans,
)
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.saliency import (
    DEFAULT_METHOD,
    SALIENCY_METHODS,
    ScanQuestion,
    brain_share,
    saliency_map,
)
from bids_harmonize.training.saliency_checks import (
    FRACTIONS,
    area_between,
    deletion_curves,
    rank_agreement,
    redrawn,
)

CHECKS_PER_SITE: Final = 8  # scans; the interval over 8 people is wide, and honest about it
METHODS_PER_SITE: Final = 4  # scans; occlusion takes as long as 20 maps of the default method
CURVE_COLUMNS: Final = ["participant_id", "site", "order", "removed_fraction", "log_odds"]
CHECK_COLUMNS: Final = ["participant_id", "site", "deletion", "randomisation"]
_N_REPLACEMENTS = 4


@dataclass(frozen=True)
class SaliencyEvidence:
    """Numbers of single scans, before they are averaged over a person and a site.

    Attributes
    ----------
    curves
        One row a scan, order and share of the head that was removed: participant_id, site, order
        (``saliency``, ``random``), removed_fraction, log_odds.
    checks
        One row a scan: participant_id, site, deletion (area between the curves, log-odds),
        randomisation (rank correlation with the map of redrawn weights).
    shares
        Scan and method other than the default to the share inside the brain and its ratio.
    means
        Method other than the default and site to the mean map on the template's grid.
    """

    curves: pd.DataFrame
    checks: pd.DataFrame
    shares: dict[tuple[str, str], tuple[float, float]]
    means: dict[tuple[str, str], np.ndarray]


def gather_evidence(
    context: StageContext, training: ClassifierTraining, folds: Sequence[FoldModel]
) -> SaliencyEvidence:
    """Check the default method, and compute the others, on a sample of scans of each site.

    Parameters
    ----------
    context
        With ``--effort quick`` the sample is smaller and no other method is computed.
    training
        The scans that are trained on.
    folds
        The cross-validated networks.

    Returns
    -------
    SaliencyEvidence
        Of single-site participants, each by the network that has not seen them.
    """
    quick, people = context.settings.group.effort == "quick", context.study.trainees
    keys = sample_scans(context, QUICK_MAPS_PER_SITE if quick else CHECKS_PER_SITE, people)
    compared = frozenset() if quick else sample_scans(context, METHODS_PER_SITE, people)
    others = _OtherMethods(context)
    curves: list[dict[str, Any]] = []
    checks: list[dict[str, Any]] = []
    redrawn_networks: dict[str, Classifier] = {}
    seed = context.settings.run.random_seed
    for asked in asked_scans(context, training, folds, keys=keys):
        if asked.model not in redrawn_networks:
            redrawn_networks[asked.model] = redrawn(
                asked.question.classifier, seed=seed, name=asked.model
            )
        found, check = _check(asked, redrawn_networks[asked.model], seed)
        curves += found
        checks.append(check)
        if asked.scan.key in compared:
            others.add(asked)
    return SaliencyEvidence(
        curves=pd.DataFrame(curves, columns=CURVE_COLUMNS),
        checks=pd.DataFrame(checks, columns=CHECK_COLUMNS),
        shares=others.shares,
        means=others.means(),
    )


def _check(
    asked: AskedScan, untrained: Classifier, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The deletion curves of one scan, and its two numbers."""
    question, key = asked.question, asked.scan.key
    who = {"participant_id": asked.scan.participant_id, "site": asked.scan.site}
    state = asked.rng.bit_generator.state
    trained_map = saliency_map(question, DEFAULT_METHOD, rng=asked.rng)
    asked.rng.bit_generator.state = state  # the same steps on the same paths, other weights
    other = ScanQuestion(
        classifier=untrained,
        volume=question.volume,
        head_mask=question.head_mask,
        site=question.site,
        baselines=question.baselines,
    )
    lost_map = saliency_map(other, DEFAULT_METHOD, rng=asked.rng)
    rng = seeded_generator(seed, "saliency deletion", key)
    replacements = draw_other_scans(asked.others, question.site, _N_REPLACEMENTS, rng)
    by_map, at_random = deletion_curves(question, trained_map, replacements=replacements, rng=rng)
    rows = [
        {**who, "order": order, "removed_fraction": fraction, "log_odds": float(value)}
        for order, curve in (("saliency", by_map), ("random", at_random))
        for fraction, value in zip(FRACTIONS, curve, strict=True)
    ]
    check = {
        **who,
        "deletion": area_between(by_map, at_random),
        "randomisation": rank_agreement(trained_map, lost_map, question.head_mask),
    }
    return rows, check


@dataclass
class _OtherMethods:
    """Shares and running sums on the template of all methods but the default."""

    context: StageContext
    shares: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _totals: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, asked: AskedScan) -> None:
        """Compute all other methods for one scan."""
        study, question = self.context.study, asked.question
        scan = study.scan(asked.scan.key)
        grid = template_grid(study)
        shape, affine = read_grid(scan.t1w)
        own_affine = network_affine(
            Grid(shape=shape, affine=affine),
            question.volume.shape,
            resolution_mm=question.classifier.voxel_size_mm,
        )
        for method in SALIENCY_METHODS:
            if method == DEFAULT_METHOD:
                continue
            rng = seeded_generator(
                self.context.settings.run.random_seed, "saliency", method, scan.stem
            )
            saliency = saliency_map(question, method, rng=rng)
            self.shares[scan.stem, method] = brain_share(
                saliency, question.head_mask, asked.brain_mask
            )
            if not has_template_transform(study, scan):
                continue
            placed = resample_through(
                saliency, own_affine, template_to_scan(study, scan), grid, interpolation="linear"
            )
            key = (method, scan.site)
            self._totals[key] = self._totals.get(key, 0.0) + placed
            self._counts[key] = self._counts.get(key, 0) + 1

    def means(self) -> dict[tuple[str, str], np.ndarray]:
        """Mean map of each method and site."""
        return {key: total / self._counts[key] for key, total in self._totals.items()}
