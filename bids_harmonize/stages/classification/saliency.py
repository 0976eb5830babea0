"""The maps of the default method: one a scan, and the mean of each site."""

from collections.abc import Sequence
from pathlib import Path

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.maps import (
    has_template_transform,
    write_scan_map,
    write_site_mean,
)
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel
from bids_harmonize.stages.classification.saliency_sample import asked_scans, sample_scans
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.saliency import brain_share, integrated_gradients
from bids_harmonize.training.volumes import VolumeSource

QUICK_MAPS_PER_SITE = 4


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
        The scans that are trained on.
    folds
        The cross-validated networks.
    last
        The final network and the scans of people who never train.

    Returns
    -------
    tuple of dict
        Map to its scan; scan name to the share of its saliency inside the brain and the share's
        ratio to chance.
    """
    study = context.study
    quick = context.settings.group.effort == "quick"
    everybody = frozenset(scan.stem for scan in study.trained_scans)
    keys = sample_scans(context, QUICK_MAPS_PER_SITE, study.trainees) if quick else everybody
    explained: dict[Path, DerivedScan] = {}
    shares: dict[str, tuple[float, float]] = {}
    for asked in asked_scans(context, training, folds, keys=keys, last=None if quick else last):
        # Not masked on the network's grid: the map is masked where it is written, on a finer one.
        saliency = integrated_gradients(asked.question, asked.rng)
        key = asked.scan.key
        shares[key] = brain_share(saliency, asked.question.head_mask, asked.brain_mask)
        derived = study.scan(key)
        size_mm = asked.question.classifier.voxel_size_mm
        path = write_scan_map(study, derived, saliency, resolution_mm=size_mm, model=asked.model)
        explained[path] = derived
    return explained, shares


def write_means(
    context: StageContext, explained: dict[Path, DerivedScan]
) -> tuple[list[Path], tuple[str, ...]]:
    """Write the mean map of each site, of the people who train only.

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
    scans = [scan for scan in explained.values() if scan.participant_id in study.trainees]
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
