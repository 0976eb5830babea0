"""Stage ``classify``: whether the site can be told from an image, from what, and where."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.names import classifier_folder
from bids_harmonize.bids.study import DerivedScan
from bids_harmonize.config import settings_hash
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.classify_card import write_card
from bids_harmonize.stages.classify_controls import control_predictions, histogram_predictions
from bids_harmonize.stages.classify_maps import remove_old_maps
from bids_harmonize.stages.classify_models import (
    ClassifierTraining,
    FoldModel,
    cross_validate,
    fold_folder,
    make_study_folds,
    prediction_rows,
    seen_predictions,
    select,
    sites_of,
    unseen_predictions,
)
from bids_harmonize.stages.classify_saliency import explain, write_means
from bids_harmonize.stages.classify_saliency_tables import write_saliency_tables
from bids_harmonize.stages.classify_tables import (
    accuracy_row,
    write_accuracy,
    write_model_tables,
    write_predictions,
)
from bids_harmonize.stages.inputs import classifier_resolution_mm, scan_files
from bids_harmonize.training.classifier import Classifier, save_classifier
from bids_harmonize.training.volumes import (
    DiskVolumes,
    MappedVolumes,
    map_volumes,
)

_VERSION = 2  # raise when the numbers in the outputs change, so that old ones are not reused
_STAMP = "stamp.json"


def run(context: StageContext) -> StageResult:
    """Train, cross-validate and explain the site classifier.

    Parameters
    ----------
    context
        The study, the settings and the place to work in.

    Returns
    -------
    StageResult
        Two tables, the model, and saliency maps; a note says if an unchanged result was reused.
    """
    study, settings = context.study, context.settings
    scans = _asked_scans(context)
    resolution_mm = classifier_resolution_mm(study, settings, context.runtime)
    native = DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask)
    volumes = map_volumes(native, resolution_mm=resolution_mm, folder=context.work_dir)
    fingerprint = _fingerprint(context, volumes)
    stamp = fold_folder(context.work_dir) / _STAMP
    reused = _read_stamp(stamp, fingerprint, study.output_dir) if settings.run.resume else None
    if reused is not None:
        note = "classify: inputs and settings are unchanged, the result was reused"
        return StageResult("classify", files=reused, notes=(note,))
    stamp.unlink(missing_ok=True)
    training = ClassifierTraining(
        source=select(volumes, study.eligible),
        folds=make_study_folds(study, settings),
        sites=study.trained_sites,
        settings=settings,
        runtime=context.runtime,
        folder=fold_folder(context.work_dir),
        fingerprint=fingerprint,
    )
    result = _classify(context, training, volumes)
    files = [path.relative_to(study.output_dir).as_posix() for path in result.files]
    write_json(stamp, {"fingerprint": fingerprint, "files": files})
    return result


def _classify(
    context: StageContext, training: ClassifierTraining, volumes: MappedVolumes
) -> StageResult:
    study = context.study
    folds = cross_validate(training)
    final = training.train(training.source, sites_of(training.source), "final")
    rows = _accuracy_rows(context, training, folds)
    asked = [unseen_predictions(training.source, folds)]
    travelling = select(volumes, study.travelling)
    if len(travelling):
        asked.append(prediction_rows(final, travelling, fold="").assign(fold=None))
    predictions = pd.concat(asked, ignore_index=True)
    explained, shares = explain(context, training, folds, (final, travelling))
    means, warnings = write_means(context, explained)
    remove_old_maps(study, keep=[*explained, *means])
    tables, notes = write_saliency_tables(context, training, folds, shares=shares, accuracy=rows)
    files = [
        write_accuracy(study.output_dir, rows),
        write_predictions(study, predictions, shares),
        *_write_model(context, training, final, rows),
        *tables,
        *explained,
        *means,
    ]
    best = rows[1]
    note = (
        f"the site of {best['accuracy']:.0%} of {best['n']} unseen participants was named rightly "
        f"({best['accuracy_low']:.0%} to {best['accuracy_high']:.0%})"
    )
    return StageResult("classify", files=tuple(files), warnings=warnings, notes=(note, *notes))


def _accuracy_rows(
    context: StageContext, training: ClassifierTraining, folds: Sequence[FoldModel]
) -> list[dict[str, Any]]:
    """Rows of the network, seen and unseen, then of its controls."""
    quick = context.settings.group.effort == "quick"
    n_folds = 1 if quick else len(folds)
    seen, unseen = (
        predicted(training.source, folds) for predicted in (seen_predictions, unseen_predictions)
    )
    rows = [
        accuracy_row(seen, model="network", split="train", effort="full"),
        accuracy_row(unseen, model="network", split="validation", effort="full"),
    ]
    for control in ("shuffled", "headmask"):
        found = control_predictions(training, control, n_folds=n_folds)
        effort = "full" if n_folds == len(folds) else "quick"
        rows.append(accuracy_row(found, model=control, split="validation", effort=effort))
    found = histogram_predictions(training)
    rows.append(accuracy_row(found, model="histogram", split="validation", effort="full"))
    return rows


def _write_model(
    context: StageContext,
    training: ClassifierTraining,
    final: Classifier,
    rows: list[dict[str, Any]],
) -> list[Path]:
    study, settings = context.study, context.settings
    folder = classifier_folder(study.output_dir)
    model = {
        "settings": asdict(settings.classifier),
        "random_seed": settings.run.random_seed,
        "scaling_mask": study.scaling_mask,
        "study_voxel_size_mm": study.voxel_size_mm,
        "training_data": training.fingerprint,
        "run_id": context.run_id,
    }
    scans = tuple(study.scan(scan.key) for scan in training.source.scans)
    write_model_tables(folder, study=study, scans=scans, folds=training.folds)
    write_card(folder, study=study, rows=rows, classifier=final)
    save_classifier(folder, final, model)
    names = ("model.safetensors", "model.json", "training.tsv", "splits.tsv", "README.md")
    return [folder / name for name in names]


def _asked_scans(context: StageContext) -> list[DerivedScan]:
    """Usable scans of eligible and of travelling participants at trained sites."""
    study = context.study
    known = study.eligible | study.travelling
    return [s for s in study.trained_scans if s.usable and s.participant_id in known]


def _fingerprint(context: StageContext, volumes: MappedVolumes) -> str:
    study, settings = context.study, context.settings
    who = [(scan.key, scan.participant_id, scan.site) for scan in volumes.scans]
    people = [sorted(study.eligible), sorted(study.travelling), study.trained_sites]
    group = [settings.group.folds, settings.group.effort, settings.run.random_seed]
    runtime = [context.runtime.precision, context.runtime.device.type]
    parts = (_VERSION, volumes.content, who, people, settings.classifier, group, runtime)
    return settings_hash(*parts)


def _read_stamp(stamp: Path, fingerprint: str, output_dir: Path) -> tuple[Path, ...] | None:
    """The files of the last run, if it was the same one and all of them are still there."""
    if not stamp.is_file():
        return None
    found = json.loads(stamp.read_text(encoding="utf-8"))
    files = tuple(output_dir / name for name in found["files"])
    if found["fingerprint"] != fingerprint or not all(path.is_file() for path in files):
        return None
    return files
