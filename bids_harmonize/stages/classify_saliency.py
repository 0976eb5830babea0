"""Which scans get a saliency map, by which network, against which baselines."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bids_harmonize.bids.study import DerivedScan
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classify_maps import (
    has_template_transform,
    write_scan_map,
    write_site_mean,
)
from bids_harmonize.stages.classify_models import ClassifierTraining, FoldModel, select
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.saliency import brain_share, site_saliency
from bids_harmonize.training.volumes import SelectedVolumes, VolumeSource

QUICK_MAPS_PER_SITE = 4
N_BASELINES = 24


def explain(
    context: StageContext,
    training: ClassifierTraining,
    folds: Sequence[FoldModel],
    last: tuple[Classifier, VolumeSource],
) -> tuple[dict[Path, DerivedScan], dict[str, tuple[float, float]]]:
    """Write saliency maps, each by a network that has not seen the person.

    Parameters
    ----------
    context
        With ``--effort quick`` only a few single-site scans of each site get a map.
    training
        The scans of eligible participants.
    folds
        The cross-validated networks.
    last
        The final network and the scans of travelling subjects.

    Returns
    -------
    tuple of dict
        Map to its scan; scan name to the share of its saliency inside the brain and the share's
        ratio to chance.
    """
    study = context.study
    quick = context.settings.group.effort == "quick"
    jobs: list[tuple[Classifier, VolumeSource, frozenset[str], str]] = [
        (fold.classifier, select(training.source, fold.held_out), fold.held_out, f"fold {number}")
        for number, fold in enumerate(folds, start=1)
    ]
    if not quick:
        jobs.append((last[0], last[1], frozenset(), "final"))
    sample = _sample(context) if quick else frozenset(scan.stem for scan in study.trained_scans)
    explained: dict[Path, DerivedScan] = {}
    shares: dict[str, tuple[float, float]] = {}
    for classifier, source, held_out, name in jobs:
        everybody = frozenset(scan.participant_id for scan in training.source.scans)
        others = select(training.source, everybody - held_out)
        for index, scan in enumerate(source.scans):
            if scan.key not in sample:
                continue
            rng = seeded_generator(context.settings.run.random_seed, "saliency", scan.key)
            saliency = site_saliency(
                classifier,
                source.volume(index),
                scan.site,
                baselines=_baselines(others, scan.site, rng),
                rng=rng,
            )
            shares[scan.key] = brain_share(
                saliency, source.head_mask(index), source.brain_mask(index)
            )
            derived = study.scan(scan.key)
            path = write_scan_map(
                study, derived, saliency, resolution_mm=source.voxel_size_mm, model=name
            )
            explained[path] = derived
    return explained, shares


def write_means(
    context: StageContext, explained: dict[Path, DerivedScan]
) -> tuple[list[Path], tuple[str, ...]]:
    """Write the mean map of each site, of single-site participants only.

    Parameters
    ----------
    context
        The study.
    explained
        What :func:`explain` returned first.

    Returns
    -------
    tuple
        The maps, and a warning where scans have no transform to the template.
    """
    study = context.study
    scans = [scan for scan in explained.values() if scan.participant_id in study.eligible]
    placed = [scan for scan in scans if has_template_transform(study, scan)]
    means = [
        write_site_mean(study, site, own)
        for site in study.trained_sites
        if (own := [scan for scan in placed if scan.site == site])
    ]
    if len(placed) == len(scans):
        return means, ()
    missing = len(scans) - len(placed)
    warning = (
        f"{missing} of {len(scans)} saliency maps stand in no mean map: their scans have no "
        "transform to the template (--brain-mask none?)"
    )
    return means, (warning,)


def _sample(context: StageContext) -> frozenset[str]:
    """A few scans of each site, drawn at random."""
    study, seed = context.study, context.settings.run.random_seed
    chosen: list[str] = []
    for site in study.trained_sites:
        stems = [scan.stem for scan in study.training_scans if scan.site == site]
        order = seeded_generator(seed, "saliency sample", site).permutation(len(stems))
        chosen += [stems[index] for index in order[:QUICK_MAPS_PER_SITE]]
    return frozenset(chosen)


def _baselines(source: SelectedVolumes, site: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Volumes of other sites; every site gives as many, no scan twice before all were once."""
    others: dict[str, list[int]] = {}
    for index, scan in enumerate(source.scans):
        if scan.site != site:
            others.setdefault(scan.site, []).append(index)
    n_each = -(-N_BASELINES // len(others))
    chosen = [
        int(index)
        for members in others.values()
        for index in np.resize(rng.permutation(members), n_each)
    ]
    return [source.volume(index) for index in chosen]
