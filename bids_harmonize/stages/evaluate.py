"""Measure what is gone and what is kept: people, lesions, site probes, tissue, a verdict.

Everything is read from what earlier levels and stages wrote. Images of the methods that are not
delivered are made in memory. Without travelling subjects the probes still run, and the result
says what cannot be known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bids_harmonize.bids.judged import JudgedImages, read_all_judged
from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import write_table
from bids_harmonize.harmonizers import HARMONIZERS, baselines
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.imaging.types import Volume
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.classification.models import (
    FoldModel,
    load_fold_classifiers,
)
from bids_harmonize.stages.evaluation.biology import Reading
from bids_harmonize.stages.evaluation.cards import write_evaluations
from bids_harmonize.stages.evaluation.comparison import (
    best_baseline,
    person_means,
    primary_kind,
)
from bids_harmonize.stages.evaluation.harmonized_accuracy import (
    harmonized_row,
    replace_harmonized_rows,
)
from bids_harmonize.stages.evaluation.image_files import (
    write_lesions,
    write_reidentification,
    write_travelling,
)
from bids_harmonize.stages.evaluation.judged import (
    judged_method,
    travellers_seen,
)
from bids_harmonize.stages.evaluation.lesions import LesionScores, plant_lesions
from bids_harmonize.stages.evaluation.network_biology import network_readings
from bids_harmonize.stages.evaluation.notes import comparison_notes
from bids_harmonize.stages.evaluation.pairs import ScanImages
from bids_harmonize.stages.evaluation.portraits import Portraits
from bids_harmonize.stages.evaluation.probe_images import ProbeImages
from bids_harmonize.stages.evaluation.site_maps import write_site_maps
from bids_harmonize.stages.evaluation.siteremoval import SiteRemoval, probe_sites
from bids_harmonize.stages.evaluation.tables import verdict_columns
from bids_harmonize.stages.evaluation.tissue import judge_tissue
from bids_harmonize.stages.evaluation.travelling import (
    Method,
    TravellingScores,
    blur_method,
    score_travelling,
    site_levels,
)
from bids_harmonize.stages.evaluation.verdict import Evidence, verdict_table
from bids_harmonize.stages.harmonization.crossfit import HalfModels
from bids_harmonize.stages.harmonization.fitted import load_delivered, load_halves
from bids_harmonize.stages.inputs import classifier_resolution_mm
from bids_harmonize.stages.trainings import Trainers
from bids_harmonize.training.runtime import seeded_generator

# Stands in for the best baseline where nobody travelled and so none can be called best.
DEFAULT_BASELINE = "n4_histogram"
CARD_BASELINE = "n4"  # against a card, which holds no image for a histogram to be matched to


@dataclass(frozen=True)
class Fitted:
    """What earlier stages fitted.

    Attributes
    ----------
    delivered
        Name to harmonizer, fitted on all eligible scans.
    halves
        The chosen harmonizer fitted on each half; ``None`` where it was not.
    folds
        The cross-validated site classifiers; empty where ``classify`` has not run.
    judged
        Images of other tools.
    """

    delivered: Mapping[str, Harmonizer]
    halves: HalfModels | None
    folds: tuple[FoldModel, ...]
    judged: tuple[JudgedImages, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the delivered harmonizers that were trained."""
        return tuple(name for name in self.delivered if HARMONIZERS[name].trained)

    @property
    def compared(self) -> tuple[str, ...]:
        """Methods that the verdict is on: the trained ones, then other tools."""
        return (*self.trained, *(one.method for one in self.judged))


@dataclass(frozen=True, eq=False)
class _Measured:
    """What was found on images; ``best`` is the best training-free method, if any can be told."""

    scores: TravellingScores
    best: str | None
    recognised: pd.DataFrame
    lesions: LesionScores
    removal: SiteRemoval
    biology: tuple[Reading, ...]


def run(context: StageContext) -> StageResult:
    """Compare all fitted methods and write the evaluation's tables.

    Parameters
    ----------
    context
        The study; its ``models/`` must hold what the stage ``harmonize`` fitted.

    Returns
    -------
    StageResult
        A failure for every pair that could not be scored and every suspected leak.

    Raises
    ------
    MissingInputError
        If no fitted harmonizer is there.
    """
    fitted = Fitted(
        delivered=load_delivered(context),
        halves=load_halves(context),
        folds=load_fold_classifiers(context.work_dir, context.runtime),
        judged=read_all_judged(context.settings.group.judge, context.study.scans),
    )
    return evaluate(context, fitted)


def evaluate(context: StageContext, fitted: Fitted) -> StageResult:
    """Do the stage with fitted models at hand; see :func:`run`.

    Parameters
    ----------
    context
        The study and its settings.
    fitted
        Harmonizers and classifiers.

    Returns
    -------
    StageResult
        As :func:`run`.
    """
    study = context.study
    measured = _measure(context, fitted)
    scores, removal, lesions = measured.scores, measured.removal, measured.lesions
    tissue = judge_tissue(context, measured.biology, foreign=[one.method for one in fitted.judged])
    maps = write_site_maps(context)
    verdict = _verdict(context, fitted, measured)
    about_tissue = [row for row in tissue.verdict if row["method"] in fitted.compared]
    verdict = pd.concat([verdict, pd.DataFrame(about_tissue)], ignore_index=True)
    path = group_output(study.output_dir, "group_verdict")
    write_table(path, verdict, verdict_columns())
    files = [
        *write_travelling(context, scores.frame, fitted.compared),
        *write_reidentification(study, measured.recognised),
        *write_lesions(context, lesions.frame),
        *removal.files,
        *replace_harmonized_rows(study.output_dir, _accuracy_row(context, removal)),
        *tissue.files,
        *maps.files,
        *write_evaluations(context, fitted.delivered, scores.frame, removal.probes, lesions.frame),
        path,
    ]
    notes = comparison_notes(study, scores.frame, measured.best)
    return StageResult(
        name="evaluate",
        files=tuple(files),
        warnings=removal.warnings,
        failures=(*scores.failures, *lesions.failures, *removal.failures, *maps.failures),
        notes=(*notes, *lesions.notes, *tissue.notes, *maps.notes),
    )


def _measure(context: StageContext, fitted: Fitted) -> _Measured:
    """Everything that is asked of images."""
    study, settings = context.study, context.settings
    levels = site_levels(study)
    own = [method_of(harmonizer) for harmonizer in fitted.delivered.values()]
    foreign = [judged_method(one, reference_site=study.reference_site) for one in fitted.judged]
    portraits = Portraits(study)
    scores = score_travelling(
        study,
        [*own, blur_method(levels), *foreign],
        levels=levels,
        work_dir=context.work_dir,
        watch=portraits.add,
    )
    lesions = plant_lesions(
        study,
        [method for method in own if method.name in fitted.trained],
        effort=settings.group.effort,
        seed=settings.run.random_seed,
    )
    best = best_baseline(person_means(scores.frame), baselines())
    resolution_mm = classifier_resolution_mm(study, settings, context.runtime)
    images = ProbeImages(context, fitted.halves, fitted.judged, resolution_mm=resolution_mm)
    shape = images.network.shape
    with Trainers(context.runtime, settings.resources, shape) as trainers:
        removal = probe_sites(
            context,
            images,
            baseline=best or _default_baseline(study),
            folds=fitted.folds,
            trainers=trainers,
        )
        biology = network_readings(context, images, trainers=trainers)
    recognised = portraits.recognise(kind=primary_kind(scores.frame))
    return _Measured(scores, best, recognised, lesions, removal, biology)


def _verdict(context: StageContext, fitted: Fitted, measured: _Measured) -> pd.DataFrame:
    """The questions on images, of every trained method and other tool."""
    return verdict_table(
        Evidence(
            measured.scores.frame,
            measured.removal.probes,
            measured.recognised,
            measured.lesions.frame,
            seen=travellers_seen(context.study, fitted.trained, fitted.judged),
        ),
        methods=fitted.compared,
        training_free=baselines(),
        rng=seeded_generator(context.settings.run.random_seed, "evaluate", "verdict"),
    )


def _accuracy_row(context: StageContext, removal: SiteRemoval) -> dict[str, object] | None:
    """The fresh probe as a row of group_siteclassification.tsv; none where it was not trained."""
    if removal.fresh is None:
        return None
    return harmonized_row(
        removal.fresh,
        reference_site=context.study.reference_site,
        effort=context.settings.group.effort,
    )


def _default_baseline(study: Study) -> str:
    """The training-free method that is probed where none can be called best."""
    by_card = study.outside_reference and not study.virtual_reference
    return CARD_BASELINE if by_card else DEFAULT_BASELINE


def method_of(harmonizer: Harmonizer) -> Method:
    """A fitted harmonizer as a row of the comparison.

    Parameters
    ----------
    harmonizer
        A fitted one.

    Returns
    -------
    Method
        Applies it by the same function that writes the delivered images.
    """

    def transform(images: ScanImages, to_site: str) -> Volume:
        return harmonize_image(
            harmonizer,
            images.volume,
            site=images.scan.site,
            to_site=to_site,
            head_mask=images.head,
            brain_mask=images.head if images.brain is None else images.brain,
        )

    return Method(harmonizer.name, transform)
