"""Stage ``classify`` with ``--model-dir``: a trained classifier is asked, and nothing is fitted.

The study may have one site, unknown sites, and sites that the model has never met. Where a scan
lies too far from all trained sites the answer is "unseen site" and no guess. Choice: the accuracy
counts the most probable site of scans whose true site the model knows, flagged or not, so that it
can be set beside the cross-validation. Rejected: counting flagged scans as wrong, which mixes two
faults in one number. How many were flagged is told apart. Revisit when a study asks for one rate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.names import classifier_in
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import MISSING
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.imaging.grid import study_shape
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.classification.applied_tables import (
    FOLD_NEW,
    answers_to_lose,
    prediction_frame_of,
    read_training,
    trained_on,
    write_applied,
)
from bids_harmonize.stages.classification.columns import UNSEEN_COLUMNS
from bids_harmonize.stages.classification.models import prediction_rows, stamp_file
from bids_harmonize.stages.inputs import scan_files
from bids_harmonize.training.classifier import Classifier, load_classifier
from bids_harmonize.training.volumes import DiskVolumes, map_volumes

_SAME_MM = 1e-3
_SHOWN = 5


def run(context: StageContext) -> StageResult:
    """Ask the classifier of ``--model-dir`` about every usable scan.

    Parameters
    ----------
    context
        The study without roles, the settings with ``model_dir``, and the place to work in.

    Returns
    -------
    StageResult
        Predictions, and accuracy where true sites are known to the model; notes say how many
        scans were called unseen.

    Raises
    ------
    UnusableDataError
        If the model cannot be read, or the study's grid or masks are not those it was made for,
        or no scan is usable.
    """
    study, folder = context.study, _folder(context)
    classifier, model = load_classifier(folder, context.runtime)
    check_fits(study, classifier, model, folder)
    scans = [scan for scan in study.scans if scan.usable]
    if not scans:
        message = f"{study.output_dir}: all {len(study.scans)} scans have doubtful masks"
        raise UnusableDataError(message)
    source = map_volumes(
        DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask),
        resolution_mm=classifier.voxel_size_mm,
        folder=context.work_dir,
    )
    training = read_training(folder)
    found = _with_unseen(prediction_rows(classifier, source, fold=FOLD_NEW))
    found["trained_on"] = trained_on(scans, training)
    table = prediction_frame_of(study, found, classifier.sites)
    lost = answers_to_lose(study.output_dir, table)
    # The stage's own result is no longer what it left behind, so it must not be reused.
    stamp_file(context.work_dir).unlink(missing_ok=True)
    return StageResult(
        "classify",
        files=write_applied(
            study.output_dir,
            table,
            found,
            seed=context.settings.run.random_seed,
        ),
        warnings=(*_lost_words(lost), *_warnings(study, found, training, model)),
        notes=tuple(_notes(found, classifier, folder)),
    )


def check_fits(
    study: Study, classifier: Classifier, model: Mapping[str, Any], folder: Path
) -> None:
    """Refuse a study whose scans are not like those that the model was made for.

    Parameters
    ----------
    study
        The scans.
    classifier, model
        From ``load_classifier``.
    folder
        Where they lie, for messages.

    Raises
    ------
    UnusableDataError
        If the study is coarser than the model, on another grid, or scaled in another mask.
    """
    size, shape = study.voxel_size_mm, study.grid_shape
    wanted = f"{_shape_words(classifier.shape)} voxels of {classifier.voxel_size_mm:g} mm"
    if size > classifier.voxel_size_mm + _SAME_MM:
        message = (
            f"{folder}: the model looks at {wanted}, this study has voxels of {size:g} mm, which "
            "is coarser; run participant again with a finer --resolution"
        )
        raise UnusableDataError(message)
    if size < classifier.voxel_size_mm - _SAME_MM:
        shape = study_shape(classifier.voxel_size_mm)
    if tuple(shape) != classifier.shape:
        message = (
            f"{folder}: the model looks at {wanted}, this study gives {_shape_words(shape)} at "
            "that voxel size; run participant again with the --resolution and --grid-shape of "
            "the study that the model was trained on"
        )
        raise UnusableDataError(message)
    if model.get("scaling_mask") != study.scaling_mask:
        message = (
            f"{folder}: the model's images were scaled in the {model.get('scaling_mask')} mask, "
            f"this study can be scaled in the {study.scaling_mask} mask; run participant again "
            "with brain masks (or --brain-mask none) as for the model"
        )
        raise UnusableDataError(message)


def _folder(context: StageContext) -> Path:
    given = Path(context.settings.group.model_dir or "")
    folder = classifier_in(given)
    if folder is None:
        message = f"--model-dir {given}: no site classifier in it"
        raise UnusableDataError(message)
    return folder


def _with_unseen(found: pd.DataFrame) -> pd.DataFrame:
    """The answers with both columns of unseen sites; ``None`` where the model cannot tell."""
    told = found.reindex(columns=[*found.columns.union(list(UNSEEN_COLUMNS), sort=False)])
    unseen = [None if pd.isna(cell) else bool(cell) for cell in told["unseen_site"]]
    return told.assign(unseen_site=pd.Series(unseen, index=told.index, dtype=object))


def _lost_words(n_lost: int) -> tuple[str, ...]:
    if n_lost == 0:
        return ()
    return (
        f"this study's own cross-validated answers on {n_lost} scans were replaced in "
        "group_sitepredictions.tsv; run classify without --model-dir to have them back",
    )


def _warnings(
    study: Study,
    found: pd.DataFrame,
    training: pd.DataFrame,
    model: Mapping[str, Any],
) -> list[str]:
    warnings = []
    doubtful = [scan.stem for scan in study.scans if not scan.usable]
    if doubtful:
        warnings.append(f"not asked about, head or brain mask doubtful: {', '.join(doubtful)}")
    if found["unseen_site"].isna().all():
        warnings.append(
            "the model keeps no threshold for unseen sites, so every scan gets one of its sites, "
            "even a scan that is like none; train it again with this version"
        )
    made = model.get("study_voxel_size_mm")
    if isinstance(made, float) and abs(made - study.voxel_size_mm) > _SAME_MM:
        warnings.append(
            f"the model was trained on images of {made:g} mm, these have {study.voxel_size_mm:g} "
            "mm: their sharpness differs for that reason alone, and the answers may follow it"
        )
    known = set(zip(training["participant_id"], training["site"], strict=True))
    alike = found[~found["trained_on"]]
    again = [
        p for p, s in zip(alike["participant_id"], alike["site"], strict=True) if (p, s) in known
    ]
    if again:
        warnings.append(
            f"counted as new, though people of these labels and sites were trained on (with other "
            f"scans): {_some(sorted(set(again)))}; if they are the same people, the accuracy is "
            "too high"
        )
    return warnings


def _notes(found: pd.DataFrame, classifier: Classifier, folder: Path) -> list[str]:
    """What was asked, and how often "unseen" was said, by whether the model knows the site."""
    new = found[~found["trained_on"]]
    notes = [
        f"model {folder}: sites {', '.join(classifier.sites)}; scans asked about: {len(found)}, "
        f"of which it was trained on {len(found) - len(new)} (not counted as new)"
    ]
    kinds = {
        "of sites that the model knows": new["site"].isin(classifier.sites),
        "of sites that it does not know": ~new["site"].isin([*classifier.sites, MISSING]),
        "of unknown site": new["site"] == MISSING,
    }
    for words, chosen in kinds.items():
        own = new[chosen]
        if len(own):
            n_unseen = int((own["unseen_site"] == True).sum())  # noqa: E712 - None is neither
            names = _some(sorted(set(own["site"]) - {MISSING}))
            where = f" ({names})" if names else ""
            notes.append(f"new scans {words}{where}: {len(own)}, called unseen site: {n_unseen}")
    return notes


def _shape_words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
