"""What stands beside the site classifier's weights: who was trained on, and the model card."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import MISSING
from bids_harmonize.networks.classifiers import CLASSIFIERS
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.splits import Split

_CARD = """\
# Site classifier

A 3D network that names the site of a T1w image among: {sites}.

* **Network**: `{network}`: {about}.
* **Input**: {shape} voxels of {size:g} mm; the preprocessed image divided by its 99th percentile
  in the {mask}, 0 outside the head.
* **Trained on** {n_scans} scans of {n_people} single-site participants{whom} (`training.tsv`).
  `splits.tsv` says which fold of the cross-validation has not seen whom. Travelling subjects were
  not trained on.
* **Made for** measuring how visible the site is in this study. It knows these sites alone, and
  says nothing about health.

{head}
{rows}
{skipped}
The accuracy is that of the cross-validation; the weights here were trained on everybody. A control
that does as well as the network names a shortcut that the network may have taken too.
"""

_HEADINGS = (
    *("model", "participants", "n", "accuracy (95 % interval)"),
    *("balanced accuracy (95 % interval)", "chance", "p", "calibration error", "Brier score"),
    "effort",
)


def write_card(
    folder: Path,
    *,
    study: Study,
    rows: Sequence[Mapping[str, Any]],
    skipped: Mapping[str, str],
    classifier: Classifier,
) -> None:
    """Write ``README.md`` beside the model.

    Parameters
    ----------
    folder
        The model's folder.
    study
        Whose participants were trained on.
    rows
        Rows of group_siteclassification.tsv.
    skipped
        Control that was not run, and the reason.
    classifier
        The final network.
    """
    lines = [
        f"| {row['model']} | {row['split']} | {row['n']} | {row['accuracy']:.3f} "
        f"({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}) "
        f"| {row['balanced_accuracy']:.3f} "
        f"({row['balanced_low']:.3f} to {row['balanced_high']:.3f}) | {row['chance']:.3f} "
        f"| {_or_missing(row['p_permutation'])} | {_or_missing(row['calibration_error'])} "
        f"| {_or_missing(row['brier'])} | {row['effort']} |"
        for row in rows
    ]
    text = _CARD.format(
        sites=", ".join(classifier.sites),
        network=classifier.architecture,
        about=CLASSIFIERS[classifier.architecture].description,
        shape=" x ".join(map(str, classifier.shape)),
        size=classifier.voxel_size_mm,
        mask=study.scaling_mask,
        n_scans=len(study.training_scans),
        n_people=len({scan.participant_id for scan in study.training_scans}),
        whom=f", {study.people_words}" if study.people_words else "",
        head=f"| {' | '.join(_HEADINGS)} |\n|{'---|' * len(_HEADINGS)}",
        rows="\n".join(lines),
        skipped="".join(f"\nNot run: {name}, because {why}.\n" for name, why in skipped.items()),
    )
    write_text(folder / "README.md", text)


def write_model_tables(
    folder: Path, *, study: Study, scans: tuple[DerivedScan, ...], folds: tuple[Split, ...]
) -> None:
    """Write ``training.tsv`` and ``splits.tsv`` beside a model.

    Parameters
    ----------
    folder
        The model's folder.
    study
        Where the files lie.
    scans
        The scans that the model was trained on.
    folds
        The cross-validation; a participant's fold is the one that has not seen it.
    """
    training = pd.DataFrame(
        {
            "participant_id": [scan.participant_id for scan in scans],
            "site": [scan.site for scan in scans],
            "filename": [scan.t1w.relative_to(study.output_dir).as_posix() for scan in scans],
            "sha256": [file_sha256(scan.t1w) for scan in scans],
        }
    )
    fold_of = {
        person: number for number, fold in enumerate(folds, start=1) for person in fold.validation
    }
    splits = training[["participant_id", "site"]].drop_duplicates()
    splits = splits.assign(fold=splits["participant_id"].map(fold_of))
    for name, frame in (("training.tsv", training), ("splits.tsv", splits)):
        text = frame.to_csv(sep="\t", index=False, na_rep=MISSING, lineterminator="\n")
        write_text(folder / name, text)


def _or_missing(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.3f}"
