"""A 3D network on images tells cases from controls at sites left out, beside the regression.

The network is that of the site classifier. Choice: only where ``--case-network`` asks for it.
Reason: a training a site and arm, minutes to hours on a CPU, for what the regression on features
mostly tells as well. It learns from everybody of the other sites and is asked about the people
whom the regression is asked about; nothing of the held-out site is used, also not the controls
that calibrate other arms. Rejected: images adjusted for age and sex (there is no such image): the
network may read them, so where cases differ in age or sex from controls, its AUC counts that too.
"""

import logging
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import site_label
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.config import settings_hash
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.case_control.arms import Arm
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.prediction import Held, held_out_sites
from bids_harmonize.stages.classification.models import select
from bids_harmonize.stages.harmonization.crossfit import cross_fitted_images
from bids_harmonize.stages.harmonization.fitted import half_folders, load_halves
from bids_harmonize.stages.inputs import classifier_resolution_mm, scan_files
from bids_harmonize.stages.kept_answers import KeptAnswers
from bids_harmonize.stages.records import StageContext
from bids_harmonize.tables.own import HARMONIZED
from bids_harmonize.training.classifier import TrainingPlan, predict, train_classifier
from bids_harmonize.training.volumes import DiskVolumes, VolumeSource, map_volumes

LOGGER = logging.getLogger(__name__)

NETWORK: Final = "network"
CLASSES: Final = ("case", "control")

_LEAST_SHARE = 1e-6  # of a class, so that log odds stay finite


def network_scores(context: StageContext, cohort: Cohort) -> tuple[pd.DataFrame, tuple[Held, ...]]:
    """The network's score of everybody who was asked, in one arm.

    Parameters
    ----------
    context
        The study; scores of a site are kept in its work directory, so that a run that ends goes
        on with the next site.
    cohort
        The people: of the table ``raw``, shown as preprocessed, or ``harmonized``, shown as
        cross-fitted harmonized images.

    Returns
    -------
    scores
        As ``predicted_scores`` gives them; empty where no site can be left out.
    folds
        The sites that were left out.

    Raises
    ------
    ScanError, MissingInputError, UnusableDataError
        If the images cannot be had, or are too small for the network.
    """
    seed = context.settings.run.random_seed
    folds = held_out_sites(Arm(cohort.arm, cohort, cohort.features.to_numpy()), seed=seed)
    if not folds:
        return pd.DataFrame(), ()
    shown = _Shown(context, cohort)
    kept = KeptAnswers(context.work_dir / "disorder", context.settings.run.resume)
    parts = []
    for fold in folds:
        fingerprint = settings_hash(
            context.settings.classifier,
            [seed, context.runtime.precision, shown.resolution_mm, shown.made_of],
            [list(cohort.people.index), cohort.is_case.tolist()],
            [fold.train.tolist(), fold.test.tolist()],
        )
        found = kept.get(
            f"network-{cohort.arm}-{site_label(fold.site)}",
            fingerprint,
            partial(_fold_table, context, cohort, fold, shown),
        ).set_index("participant_id")["score"]
        asked = cohort.people.index[fold.test]
        parts.append(
            pd.DataFrame(
                {
                    "arm": cohort.arm,
                    "model": NETWORK,
                    "participant_id": asked,
                    "site": fold.site,
                    "is_case": cohort.is_case[fold.test],
                    "score": found.loc[asked].to_numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True), folds


def fold_scores(
    cohort: Cohort,
    fold: Held,
    images: VolumeSource,
    *,
    context: StageContext,
    plan: TrainingPlan,
) -> dict[str, float]:
    """Log odds of being a case, by a network that has seen nobody of the held-out site.

    Parameters
    ----------
    cohort
        Everybody.
    fold
        Who is learnt from, and who is asked.
    images
        Of everybody.
    context
        Its settings say how a classifier is trained.
    plan
        Seed and device.

    Returns
    -------
    dict
        Person to score, the mean over the person's scans.

    Raises
    ------
    UnusableDataError
        If the volumes are too small for the network.
    """
    is_case = cohort.people["is_case"]
    seen = select(images, frozenset(cohort.people.index[fold.train]))
    asked = select(images, frozenset(cohort.people.index[fold.test]))
    network = train_classifier(
        seen,
        [CLASSES[0] if is_case[scan.participant_id] else CLASSES[1] for scan in seen.scans],
        sites=CLASSES,
        settings=context.settings.classifier,
        plan=plan,
    )
    shares = np.clip(predict(network, asked).astype(np.float64), _LEAST_SHARE, None)
    scores = pd.Series(
        np.log(shares[:, 0] / shares[:, 1]), index=[scan.participant_id for scan in asked.scans]
    )
    return {str(name): float(value) for name, value in scores.groupby(level=0).mean().items()}


class _Shown:
    """Everybody's images on the classifier's grid, made once, and only where they are needed.

    ``made_of`` holds checksums of what they are made of.
    """

    def __init__(self, context: StageContext, cohort: Cohort) -> None:
        self._context, self._arm = context, cohort.arm
        study = context.study
        usable = study.usable_scans(frozenset(cohort.people.index))
        self._scans = [scan_files(scan) for scan in usable]
        lacking = set(cohort.people.index) - {scan.participant_id for scan in self._scans}
        if lacking:
            message = f"{len(lacking)} people have no usable scan, for instance {min(lacking)}"
            raise UnusableDataError(message)
        self.resolution_mm = classifier_resolution_mm(study, context.settings, context.runtime)
        self.made_of = [file_sha256(scan.t1w) for scan in self._scans]
        if self._arm == HARMONIZED:
            folders = half_folders(context)
            if folders is None:
                message = "no harmonizer was fitted on halves, so nobody's image is cross-fitted"
                raise UnusableDataError(message)
            self.made_of += [str(read_json(one / "model.json")["sha256"]) for one in folders]
        self._made: VolumeSource | None = None

    def images(self) -> VolumeSource:
        """Of all scans, sorted by stem."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> VolumeSource:
        folder = self._context.work_dir
        native = DiskVolumes(self._scans, self._context.study.scaling_mask)
        network = map_volumes(native, resolution_mm=self.resolution_mm, folder=folder)
        fitted = load_halves(self._context) if self._arm == HARMONIZED else None
        if fitted is None:
            return network
        path = folder / "disorder" / "crossfitted.npy"
        return cross_fitted_images(fitted, (native, network), path=path)


def _fold_table(context: StageContext, cohort: Cohort, fold: Held, shown: _Shown) -> pd.DataFrame:
    """Scores of one held-out site: participant_id, score."""
    LOGGER.info("network, arm %s: %s is left out", cohort.arm, fold.site)
    plan = TrainingPlan(
        runtime=context.runtime,
        seed=context.settings.run.random_seed,
        name=f"disorder-{cohort.arm}-{fold.site}",
    )
    scores = fold_scores(cohort, fold, shown.images(), context=context, plan=plan)
    return pd.DataFrame({"participant_id": list(scores), "score": list(scores.values())})
