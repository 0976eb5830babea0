"""Which scans are asked why they look like their site, by which network, against which others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel, select
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.saliency import ScanQuestion
from bids_harmonize.training.sources import ScanFiles
from bids_harmonize.training.volumes import SelectedVolumes, VolumeSource

N_BASELINES = 24


@dataclass(frozen=True, eq=False)
class AskedScan:
    """One scan, the question to its network, and what else belongs to it.

    Attributes
    ----------
    scan
        Key, person and site.
    question
        Network, volume, head mask, site and baselines.
    brain_mask
        Bool, shape (I, J, K); ``None`` in a study without brain masks.
    rng
        For the default method; it has drawn the baselines already.
    others
        Scans of people that the network was trained on: baselines and replacements.
    model
        Which network, in words.
    """

    scan: ScanFiles
    question: ScanQuestion
    brain_mask: np.ndarray | None
    rng: np.random.Generator
    others: SelectedVolumes
    model: str


def asked_scans(
    context: StageContext,
    training: ClassifierTraining,
    folds: Sequence[FoldModel],
    *,
    keys: frozenset[str],
    last: tuple[Classifier, VolumeSource] | None = None,
) -> Iterator[AskedScan]:
    """The scans with their questions, one at a time.

    Parameters
    ----------
    context
        Seed of the draws.
    training
        The scans that are trained on.
    folds
        The cross-validated networks; each is asked about the people it has not seen.
    keys
        Which scans are asked.
    last
        The final network and the scans of people who never train, if they are asked too.

    Yields
    ------
    AskedScan
        In the order of the folds. The same scan has the same question and the same draws,
        whoever else is asked.
    """
    jobs: list[tuple[Classifier, VolumeSource, frozenset[str], str]] = [
        (fold.classifier, select(training.source, fold.held_out), fold.held_out, f"fold {number}")
        for number, fold in enumerate(folds, start=1)
    ]
    if last is not None:
        jobs.append((last[0], last[1], frozenset(), "final"))
    everybody = frozenset(scan.participant_id for scan in training.source.scans)
    # Without brain masks a source gives the head mask in their place.
    has_brain = context.study.scaling_mask == "brain"
    for classifier, source, held_out, name in jobs:
        others = select(training.source, everybody - held_out)
        for index, scan in enumerate(source.scans):
            if scan.key not in keys:
                continue
            rng = seeded_generator(context.settings.run.random_seed, "saliency", scan.key)
            question = ScanQuestion(
                classifier=classifier,
                volume=source.volume(index),
                head_mask=source.head_mask(index),
                site=scan.site,
                baselines=draw_other_scans(others, scan.site, N_BASELINES, rng),
            )
            brain_mask = source.brain_mask(index) if has_brain else None
            yield AskedScan(scan, question, brain_mask, rng, others, name)


def sample_scans(
    context: StageContext, n_per_site: int, participants: frozenset[str]
) -> frozenset[str]:
    """Keys of a few single-site scans of each site, drawn at random.

    Parameters
    ----------
    context
        The study and the seed.
    n_per_site
        How many; a smaller sample is a part of a larger one.
    participants
        Whose scans are drawn from.

    Returns
    -------
    frozenset of str
        Fewer where a site has fewer.
    """
    study, seed = context.study, context.settings.run.random_seed
    chosen: list[str] = []
    scans = study.usable_scans(participants)
    for site in study.trained_sites:
        stems = [scan.stem for scan in scans if scan.site == site]
        order = seeded_generator(seed, "saliency sample", site).permutation(len(stems))
        chosen += [stems[index] for index in order[:n_per_site]]
    return frozenset(chosen)


def draw_other_scans(
    source: VolumeSource, site: str, n: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Volumes of other sites than this one.

    Parameters
    ----------
    source
        Where they are drawn from.
    site
        The site that gives none.
    n
        How many at least; every other site gives as many.
    rng
        Source of the draw.

    Returns
    -------
    list of np.ndarray
        Float32, shape (I, J, K) each; no scan twice before all were once.
    """
    others: dict[str, list[int]] = {}
    for index, scan in enumerate(source.scans):
        if scan.site != site:
            others.setdefault(scan.site, []).append(index)
    n_each = -(-n // len(others))
    chosen = [
        int(index)
        for members in others.values()
        for index in np.resize(rng.permutation(members), n_each)
    ]
    return [source.volume(index) for index in chosen]
