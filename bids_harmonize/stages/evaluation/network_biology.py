"""Whether a network still reads age and sex from people's images after harmonization.

The network is that of the site classifier. Choice: age is read as the expectation over five age
bands of equal size, as Peng et al. 2021 (https://doi.org/10.1016/j.media.2020.101871) do with
narrower ones. Reason: one training serves sites, sex and age. Rejected: a network a site, which
learns nothing from a dozen people; so it learns from people of all sites together, or of all other
sites, and is scored within sites like the regression on tissue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from bids_harmonize.config import ClassifierSettings, settings_hash
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.models import select
from bids_harmonize.stages.evaluation.biology import (
    ACROSS,
    LEAVE_OUT,
    NETWORK,
    Reading,
    Target,
    known_people,
    spread_folds,
)
from bids_harmonize.stages.evaluation.biology_targets import covariate_targets
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.probe_images import ProbeImages
from bids_harmonize.stages.kept_answers import KeptAnswers, images_hash
from bids_harmonize.stages.trainings import Trainers, Training
from bids_harmonize.training.classifier import TrainingPlan, predict, train_classifier
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.splits import Split
from bids_harmonize.training.volumes import VolumeSource

N_BANDS: Final = 5


def network_readings(
    context: StageContext, images: ProbeImages, *, trainers: Trainers
) -> tuple[Reading, ...]:
    """Age and sex of everybody who may be trained on, read from images by networks.

    Parameters
    ----------
    context
        The study and its settings. With ``--effort quick`` no network is trained.
    images
        Unharmonized images, those of the chosen harmonizer, and those of other tools.
    trainers
        Train the networks.

    Returns
    -------
    tuple of Reading
        Nothing where too few people of a site have a known value.
    """
    if context.settings.group.effort == "quick":
        return ()
    site_of = context.study.site_of_participant()
    found: list[Reading] = []
    for target in covariate_targets(context.study):
        people = known_people(target, site_of, sorted(site_of))
        if people.empty:
            continue
        for method in (IDENTITY, context.settings.group.harmonizer, *images.foreign):
            shown = images.of(method)
            if shown is not None:
                found += _read(context, method, target, people, shown, trainers=trainers)
    return tuple(found)


def _read(
    context: StageContext,
    method: str,
    target: Target,
    people: pd.DataFrame,
    images: VolumeSource,
    *,
    trainers: Trainers,
) -> Iterator[Reading]:
    """Both schemes, where everybody is asked in them."""
    seed = context.settings.run.random_seed
    kept = KeptAnswers(context.work_dir / "evaluate" / "biology", context.settings.run.resume)
    asked = settings_hash(
        images_hash(images),
        people["truth"].to_dict(),
        context.settings.classifier,
        [seed, trainers.runtime.precision],
    )
    schemes = {
        ACROSS: spread_folds(people, target, seed=seed),
        LEAVE_OUT: _leave_out(people),
    }
    trainings = {
        scheme: [
            Training(
                f"{method}_{question.name}".replace(":", "-"),
                settings_hash(asked, [sorted(split.train), sorted(split.validation)]),
                partial(_predict, question, people["truth"], images, split),
            )
            for question, split in _questions(context, target, scheme, splits)
        ]
        for scheme, splits in schemes.items()
    }
    answers = iter(trainers.ask(kept, [one for own in trainings.values() for one in own]))
    for scheme, own in trainings.items():
        predicted = pd.Series(np.nan, index=people.index)
        for _ in own:
            predicted.update(next(answers).set_index("participant_id")["predicted"])
        if predicted.notna().all():
            yield Reading(method, target, scheme, people.assign(predicted=predicted), NETWORK)


@dataclass(frozen=True)
class _Question:
    """What one network is asked, and how it is trained."""

    target: str
    name: str
    seed: int
    settings: ClassifierSettings


def _questions(
    context: StageContext, target: Target, scheme: str, splits: Sequence[Split]
) -> Iterator[tuple[_Question, Split]]:
    seed, settings = context.settings.run.random_seed, context.settings.classifier
    for number, split in enumerate(splits, start=1):
        yield _Question(target.name, f"{target.name}-{scheme}-{number}", seed, settings), split


def _leave_out(people: pd.DataFrame) -> tuple[Split, ...]:
    """Each site from all others; nothing with one site."""
    everybody = frozenset(people.index)
    sites = [frozenset(own.index) for _, own in people.groupby("site")]
    return tuple(Split(everybody - own, own) for own in sites) if len(sites) > 1 else ()


def _predict(
    question: _Question,
    truth: pd.Series,
    images: VolumeSource,
    split: Split,
    runtime: Runtime,
) -> pd.DataFrame:
    """Per participant_id: predicted, years or the probability of 1, mean over their scans."""
    known = truth[sorted(split.train)]
    bands = _bands(known) if question.target == "age" else known.astype(int).astype(str)
    seen, unseen = select(images, split.train), select(images, split.validation)
    classes = sorted(set(bands))
    network = train_classifier(
        seen,
        [bands[scan.participant_id] for scan in seen.scans],
        sites=classes,
        settings=question.settings,
        plan=TrainingPlan(runtime=runtime, seed=question.seed, name=question.name),
    )
    levels = known.groupby(bands).mean().reindex(classes).to_numpy()
    values = predict(network, unseen) @ levels
    people = [scan.participant_id for scan in unseen.scans]
    asked = pd.DataFrame({"participant_id": people, "predicted": values})
    return asked.groupby("participant_id", as_index=False).mean()


def _bands(known: pd.Series) -> pd.Series:
    """Bands of equal size, named so that their order is that of the years."""
    n_bands = min(N_BANDS, known.nunique())
    return pd.qcut(known.rank(method="first"), n_bands, labels=False).astype(int).astype(str)
