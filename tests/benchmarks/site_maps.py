"""Saliency maps of everybody by the folds of a finished quick run, without its controls again."""

from pathlib import Path

from bids_harmonize.bids.study import load_study
from bids_harmonize.config import make_settings
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.models import (
    ClassifierTraining,
    fold_folder,
    load_fold_classifiers,
    make_study_folds,
    select,
)
from bids_harmonize.stages.classification.saliency import explain, write_means
from bids_harmonize.stages.inputs import classifier_resolution_mm, scan_files
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.volumes import DiskVolumes, map_volumes


def map_everybody(output_dir: Path, *, n_processors: int) -> int:
    """Write the default method's map of every scan, and the mean of every site.

    Parameters
    ----------
    output_dir
        Root of a derivative on which ``classify`` ran; nobody in it travels.
    n_processors
        Threads.

    Returns
    -------
    int
        Number of maps.
    """
    settings = make_settings({"resources": {"nprocs": n_processors}}, source="benchmark")
    study, runtime = load_study(output_dir, settings=settings), make_runtime(settings.resources)
    work = study.output_dir / ".work"
    native = DiskVolumes([scan_files(scan) for scan in study.training_scans], study.scaling_mask)
    resolution_mm = classifier_resolution_mm(study, settings, runtime)
    volumes = map_volumes(native, resolution_mm=resolution_mm, folder=work)
    training = ClassifierTraining(
        source=select(volumes, study.eligible),
        folds=make_study_folds(study, settings),
        sites=study.trained_sites,
        settings=settings,
        runtime=runtime,
        folder=fold_folder(work),
        fingerprint="",
    )
    context = StageContext(study, settings, work, "benchmark", runtime)
    folds = load_fold_classifiers(work, runtime)
    nobody = (folds[0].classifier, select(volumes, study.travelling))
    maps, _ = explain(context, training, folds, nobody)
    write_means(context, maps)
    return len(maps)
