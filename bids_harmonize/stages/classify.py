"""Stage ``classify``: whether the site can be told from an image, from what, and where."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.atlases.regions import Regions
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.names import classifier_folder
from bids_harmonize.config import settings_hash
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.classification.atlas import atlas_words, study_regions
from bids_harmonize.stages.classification.card import write_card, write_model_tables
from bids_harmonize.stages.classification.columns import CONFOUNDING_COLUMNS
from bids_harmonize.stages.classification.confounding import confounding_rows, study_warnings
from bids_harmonize.stages.classification.controls import run_controls
from bids_harmonize.stages.classification.maps import remove_old_maps, template_grid
from bids_harmonize.stages.classification.models import (
    ClassifierTraining,
    cross_validate,
    fold_folder,
    make_study_folds,
    prediction_rows,
    seen_predictions,
    select,
    stamp_file,
    unseen_predictions,
)
from bids_harmonize.stages.classification.results import (
    accuracy_rows,
    result_note,
    skipped_notes,
    write_site_tables,
)
from bids_harmonize.stages.classification.saliency import explain, write_means
from bids_harmonize.stages.classification.saliency_tables import write_saliency_tables
from bids_harmonize.stages.classification.shortcuts import participant_covariates, scan_metadata
from bids_harmonize.stages.classification.tables import write_predictions, write_rows
from bids_harmonize.stages.inputs import classifier_resolution_mm, scan_files
from bids_harmonize.training.classifier import Classifier, save_classifier
from bids_harmonize.training.volumes import (
    DiskVolumes,
    MappedVolumes,
    map_volumes,
)

_VERSION = 4  # raise when the numbers in the outputs change, so that old ones are not reused


def run(context: StageContext) -> StageResult:
    """Train, cross-validate and explain the site classifier.

    Parameters
    ----------
    context
        The study, the settings and the place to work in.

    Returns
    -------
    StageResult
        Tables, the model, and saliency maps; warnings of shortcuts and confounding; notes with
        the accuracy and the controls that could not run; the first one says if an unchanged
        result was reused.
    """
    study, settings = context.study, context.settings
    # Read first: an atlas that cannot be used must not cost a training.
    mm = template_grid(study).voxel_size_mm[0]
    regions = study_regions(settings.group.atlas, resolution_mm=mm)
    scans = _asked_scans(context)
    resolution_mm = classifier_resolution_mm(study, settings, context.runtime)
    native = DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask)
    volumes = map_volumes(native, resolution_mm=resolution_mm, folder=context.work_dir)
    fingerprint = _fingerprint(context, volumes)
    # Apart from the training's fingerprint, for another atlas does not change a network.
    asked = (
        settings_hash(fingerprint, regions.sha256, regions.names) if regions.atlas else fingerprint
    )
    stamp = stamp_file(context.work_dir)
    reused = _read_stamp(stamp, asked, study.output_dir) if settings.run.resume else None
    if reused is not None:
        return reused
    stamp.unlink(missing_ok=True)
    training = ClassifierTraining(
        source=select(volumes, study.trainees),
        folds=make_study_folds(study, settings),
        sites=study.trained_sites,
        settings=settings,
        runtime=context.runtime,
        folder=fold_folder(context.work_dir),
        fingerprint=fingerprint,
    )
    result = _classify(context, training, volumes, regions)
    files = [path.relative_to(study.output_dir).as_posix() for path in result.files]
    told = {"warnings": list(result.warnings), "notes": list(result.notes)}
    write_json(stamp, {"fingerprint": asked, "files": files, **told})
    return result


def _classify(
    context: StageContext, training: ClassifierTraining, volumes: MappedVolumes, regions: Regions
) -> StageResult:
    study = context.study
    folds = cross_validate(training)
    known_s = [fold.training_s for fold in folds if fold.training_s is not None]
    seconds = sum(known_s) / len(known_s) if known_s else None
    final = training.train_final(folds)
    unseen = unseen_predictions(training.source, folds)
    asked = [unseen]
    others = select(volumes, study.travelling | study.held_back)
    if len(others):
        asked.append(prediction_rows(final, others, fold="").assign(fold=None))
    predictions = pd.concat(asked, ignore_index=True)
    explained, shares = explain(context, training, folds, (final, others))
    means, warnings = write_means(context, explained)
    remove_old_maps(study, keep=[*explained, *means])
    controls = run_controls(study, training, folds, seconds_per_fold=seconds)
    seen = seen_predictions(training.source, folds)
    rows = accuracy_rows(seen, unseen, controls, seed=context.settings.run.random_seed)
    confounding = confounding_rows(study)
    tables, notes = write_saliency_tables(
        context, training, folds, shares=shares, accuracy=rows, regions=regions
    )
    if regions.atlas:
        notes = (*notes, atlas_words(regions))
    files = [
        *write_site_tables(context, rows, unseen, controls),
        write_rows(study.output_dir, "group_siteconfounding", confounding, CONFOUNDING_COLUMNS),
        write_predictions(study, predictions, shares),
        *_write_model(context, training, final, (rows, controls.skipped)),
        *tables,
        *explained,
        *means,
    ]
    return StageResult(
        "classify",
        files=tuple(files),
        warnings=(*warnings, *study_warnings(study, rows, confounding)),
        notes=(result_note(rows), *skipped_notes(controls.skipped), *notes),
    )


def _write_model(
    context: StageContext,
    training: ClassifierTraining,
    final: Classifier,
    told: tuple[list[dict[str, Any]], Mapping[str, str]],
) -> list[Path]:
    """Weights and what stands beside them; ``told``: rows of the accuracy, controls not run."""
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
    write_card(folder, study=study, rows=told[0], skipped=told[1], classifier=final)
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
    people = [sorted(study.trainees), sorted(study.travelling | study.held_back)]
    warned = [dict(study.left_out), confounding_rows(study)]
    tables = [participant_covariates(study), scan_metadata(study, [s.key for s in volumes.scans])]
    known = [table.to_csv() for table in tables]
    group = [settings.group.folds, settings.group.effort, settings.run.random_seed]
    runtime = [context.runtime.precision, context.runtime.device.type]
    parts = (
        _VERSION,
        volumes.content,
        who,
        people,
        study.trained_sites,
        warned,
        known,
        settings.classifier,
        group,
        runtime,
    )
    return settings_hash(*parts)


def _read_stamp(stamp: Path, fingerprint: str, output_dir: Path) -> StageResult | None:
    """The last run's result, if it was the same one and all of its files are still there."""
    if not stamp.is_file():
        return None
    found = json.loads(stamp.read_text(encoding="utf-8"))
    files = tuple(output_dir / name for name in found["files"])
    if found["fingerprint"] != fingerprint or not all(path.is_file() for path in files):
        return None
    notes = ("classify: inputs and settings are unchanged, the result was reused", *found["notes"])
    return StageResult("classify", files=files, warnings=tuple(found["warnings"]), notes=notes)
