"""Site names dealt at random: the network cross-validated, without controls and pages.

A whole run of the stage trains a dozen networks a deal; the answer to "does it name what is not
there" needs the folds alone.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.study import load_study
from bids_harmonize.config import make_settings
from bids_harmonize.stages.classification.models import (
    ClassifierTraining,
    cross_validate,
    make_study_folds,
    select,
    unseen_predictions,
)
from bids_harmonize.stages.inputs import classifier_resolution_mm, scan_files
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.volumes import DiskVolumes, map_volumes


def dealt_predictions(
    output_dir: Path, site_of: Mapping[str, str], *, n_processors: int, seed: int
) -> pd.DataFrame:
    """Out-of-fold predictions of every scan when participants bear these site names.

    Parameters
    ----------
    output_dir
        Root of a derivative.
    site_of
        Participant to site.
    n_processors
        Threads of the training.
    seed
        The run's seed.

    Returns
    -------
    DataFrame
        One row a scan: key, participant_id, site, fold, ``p_<site>``, predicted.
    """
    settings = make_settings(
        {"resources": {"nprocs": n_processors}, "run": {"random_seed": seed}}, source="benchmark"
    )
    study = load_study(output_dir, settings=settings, site_map=site_of)
    runtime = make_runtime(settings.resources)
    scans = list(study.training_scans)
    native = DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask)
    folder = output_dir / ".work"
    volumes = map_volumes(
        native,
        resolution_mm=classifier_resolution_mm(study, settings, runtime),
        folder=folder,
    )
    deal = folder / "deal"
    training = ClassifierTraining(
        source=select(volumes, study.eligible),
        folds=make_study_folds(study, settings),
        sites=study.trained_sites,
        settings=settings,
        runtime=runtime,
        folder=deal,
        fingerprint=pd.Series(dict(site_of)).sort_index().to_json(),
    )
    predictions = unseen_predictions(training.source, cross_validate(training))
    shutil.rmtree(deal, ignore_errors=True)
    shares = predictions[[f"p_{site}" for site in study.trained_sites]].to_numpy()
    named = [study.trained_sites[column] for column in shares.argmax(axis=1)]
    return predictions.assign(predicted=named)
