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
from bids_harmonize.stages.evaluation.lesions import plant_lesions
from bids_harmonize.stages.evaluation.pairs import ScanImages
from bids_harmonize.stages.evaluation.portraits import Portraits
from bids_harmonize.stages.evaluation.site_maps import write_site_maps
from bids_harmonize.stages.evaluation.siteremoval import probe_sites
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
    study, settings = context.study, context.settings
    trained = [name for name in fitted.delivered if HARMONIZERS[name].trained]
    levels = site_levels(study)
    own = [method_of(harmonizer) for harmonizer in fitted.delivered.values()]
    foreign = [judged_method(one, reference_site=study.reference_site) for one in fitted.judged]
    compared = [*trained, *(method.name for method in foreign)]
    portraits = Portraits(study)
    scores = score_travelling(
        study,
        [*own, blur_method(levels), *foreign],
        levels=levels,
        work_dir=context.work_dir,
        watch=portraits.add,
    )
    recognised = portraits.recognise(kind=primary_kind(scores.frame))
    lesions = plant_lesions(
        study,
        [method for method in own if method.name in trained],
        effort=settings.group.effort,
        seed=settings.run.random_seed,
    )
    best = best_baseline(person_means(scores.frame), baselines())
    removal = probe_sites(
        context,
        baseline=best or _default_baseline(study),
        half_models=fitted.halves,
        folds=fitted.folds,
        resolution_mm=classifier_resolution_mm(study, settings, context.runtime),
        judged=fitted.judged,
    )
    row = None
    if removal.fresh is not None:
        row = harmonized_row(
            removal.fresh, reference_site=study.reference_site, effort=settings.group.effort
        )
    rng = seeded_generator(settings.run.random_seed, "evaluate", "verdict")
    verdict = verdict_table(
        Evidence(
            scores.frame,
            removal.probes,
            recognised,
            lesions.frame,
            seen=travellers_seen(study, trained, fitted.judged),
        ),
        methods=compared,
        training_free=baselines(),
        rng=rng,
    )
    tissue, maps = judge_tissue(context), write_site_maps(context)
    if settings.group.harmonizer in trained:
        verdict = pd.concat([verdict, pd.DataFrame(tissue.verdict)], ignore_index=True)
    path = group_output(study.output_dir, "group_verdict")
    write_table(path, verdict, verdict_columns())
    files = [
        *write_travelling(context, scores.frame, compared),
        *write_reidentification(study, recognised),
        *write_lesions(context, lesions.frame),
        *removal.files,
        *replace_harmonized_rows(study.output_dir, row),
        *tissue.files,
        *maps.files,
        *write_evaluations(context, fitted.delivered, scores.frame, removal.probes),
        path,
    ]
    return StageResult(
        name="evaluate",
        files=tuple(files),
        warnings=removal.warnings,
        failures=(*scores.failures, *lesions.failures, *removal.failures, *maps.failures),
        notes=(*_notes(study, scores, best), *lesions.notes, *tissue.notes, *maps.notes),
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


def _imageless_note(study: Study, scores: TravellingScores) -> str:
    """What can be judged, and what not, where the reference has no images here."""
    kinds = scores.frame.groupby("kind")["participant_id"].nunique()
    text = f"the reference {study.reference_site} is known by its card alone: "
    if study.virtual_reference:
        text = "the reference is the median of all sites: "
    if "direct" in kinds:
        text += f"{kinds['direct']} travelling subjects with real scans there were scored; "
    else:
        text += "without a real scan there, closeness to it cannot be judged; "
    if "agreement" in kinds:
        text += f"agreement between local sites was scored on {kinds['agreement']} people; "
    else:
        text += "nobody was scanned at two local sites, so their agreement cannot be judged; "
    if len(study.trained_sites) > 1:
        return f"{text}site probes look at the local sites among themselves"
    return f"{text}with one local site there is no site for a probe to tell"


def _notes(study: Study, scores: TravellingScores, best: str | None) -> tuple[str, ...]:
    notes = []
    people: pd.Series = scores.frame["participant_id"]
    if study.outside_reference:
        notes.append(_imageless_note(study, scores))
    elif not study.travelling:
        notes.append(
            "nobody was scanned at two trained sites, so nothing shows how near a harmonized "
            "image is to the person's real scan; the site probes alone cannot tell"
        )
    elif best is None:
        notes.append(
            f"{people.nunique()} of {len(study.travelling)} travelling subjects could be scored "
            "in the brain at the reference site; the primary endpoint cannot be told"
        )
    else:
        notes.append(
            f"{people.nunique()} travelling subjects were scored; the best method without "
            f"training is {best}"
        )
    doubtful = [
        scan.stem
        for scan in study.harmonized_scans(joint=False)
        if scan.participant_id in study.travelling and not scan.usable
    ]
    if doubtful:
        notes.append(f"not scored, the brain mask is doubtful: {', '.join(doubtful)}")
    return tuple(notes)
