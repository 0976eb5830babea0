"""Tables and model files of the stage ``classify``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.study import DerivedScan, Study
from bids_harmonize.bids.tables import MISSING, read_tsv, write_table
from bids_harmonize.metrics.siteness import accuracy, balanced_accuracy
from bids_harmonize.stages.probes import person_predictions
from bids_harmonize.stats import wilson_interval
from bids_harmonize.training.splits import Split

IMAGES = "preproc"

ACCURACY_COLUMNS: dict[str, dict[str, Any]] = {
    "model": {
        "Description": "what names the site",
        "Levels": {
            "network": "3D network on the whole volume",
            "shuffled": "the same network after participants have exchanged their sites inside "
            "each fold; must stay at chance",
            "headmask": "the same network on the outline of the head alone",
            "histogram": "logistic regression on the 64-bin intensity histogram of the head",
        },
    },
    "images": {"Description": "images the model was trained and tested on"},
    "split": {
        "Description": "participants that are counted",
        "Levels": {
            "train": "seen in training; probabilities averaged over the folds that saw them",
            "validation": "unseen, pooled over the folds",
        },
    },
    "n": {"Description": "participants; a person's scans at a site are averaged first"},
    "accuracy": {"Description": "share of participants whose site was named rightly, 0 to 1"},
    "accuracy_low": {"Description": "lower end of Wilson's 95 % interval of the accuracy"},
    "accuracy_high": {"Description": "upper end of Wilson's 95 % interval of the accuracy"},
    "balanced_accuracy": {"Description": "mean over sites of the share named rightly, 0 to 1"},
    "chance": {"Description": "balanced accuracy of guessing: 1 / number of sites"},
    "effort": {
        "Description": "how much of the cross-validation was computed for this row",
        "Levels": {
            "full": "all folds",
            "quick": "the first fold only, because of --effort quick; fewer participants count",
        },
    },
}


def accuracy_row(
    predictions: pd.DataFrame, *, model: str, split: str, effort: str
) -> dict[str, Any]:
    """One row of group_siteclassification.tsv.

    Parameters
    ----------
    predictions
        One row a scan: participant_id, site, fold, ``p_<site>``.
    model, split, effort
        Words of the table's columns.

    Returns
    -------
    dict
        Participants, accuracy with interval, balanced accuracy and chance.
    """
    people = person_predictions(predictions)
    true, predicted = list(people["site"]), list(people["predicted"])
    n_right = sum(one == two for one, two in zip(true, predicted, strict=True))
    low, high = wilson_interval(n_right, len(true))
    return {
        "model": model,
        "images": IMAGES,
        "split": split,
        "n": len(true),
        "accuracy": accuracy(true, predicted),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": balanced_accuracy(true, predicted),
        "chance": 1 / sum(name.startswith("p_") for name in predictions.columns),
        "effort": effort,
    }


def write_accuracy(output_dir: Path, rows: list[dict[str, Any]]) -> Path:
    """Write group_siteclassification.tsv; rows of harmonized images stay as they were.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    rows
        The rows of unharmonized images.

    Returns
    -------
    Path
        The table.
    """
    path = group_output(output_dir, "group_siteclassification")
    frame = pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS)).astype(object)
    if path.is_file():
        old = read_tsv(path)
        others = old[old["images"] != IMAGES].reindex(columns=frame.columns).astype(object)
        frame = pd.concat([frame, others], ignore_index=True)
    write_table(path, frame, ACCURACY_COLUMNS)
    return path


def write_predictions(
    study: Study, predictions: pd.DataFrame, shares: Mapping[str, tuple[float, float]]
) -> Path:
    """Write group_sitepredictions.tsv.

    Parameters
    ----------
    study
        Files and sites of the scans.
    predictions
        One row a scan: key, participant_id, site, fold (NA: final model), ``p_<site>``.
    shares
        Scan to its saliency's share inside the brain and the ratio to chance.

    Returns
    -------
    Path
        The table.
    """
    columns = [f"p_{site}" for site in study.trained_sites]
    best = predictions[columns].to_numpy().argmax(axis=1)
    unknown = (float("nan"), float("nan"))
    root = study.output_dir
    frame = pd.DataFrame(
        {
            "filename": [
                study.scan(key).t1w.relative_to(root).as_posix() for key in predictions["key"]
            ],
            "participant_id": predictions["participant_id"],
            "site": predictions["site"],
            "fold": predictions["fold"],
            "images": IMAGES,
            "predicted": [study.trained_sites[index] for index in best],
            **{column: predictions[column] for column in columns},
            "saliency_in_brain": [shares.get(key, unknown)[0] for key in predictions["key"]],
            "saliency_brain_ratio": [shares.get(key, unknown)[1] for key in predictions["key"]],
        }
    ).sort_values("filename", ignore_index=True)
    path = group_output(root, "group_sitepredictions")
    write_table(path, frame, _prediction_columns(columns))
    return path


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


def _prediction_columns(probabilities: list[str]) -> dict[str, dict[str, Any]]:
    return {
        "filename": {"Description": "the scan, relative to the dataset"},
        "participant_id": {"Description": "the person"},
        "site": {"Description": "where the scan was made"},
        "fold": {
            "Description": "fold whose network, which has not seen this person, was asked; n/a "
            "for travelling subjects: the final network, which has not seen them either"
        },
        "images": {"Description": "images the network was trained on and asked about"},
        "predicted": {"Description": "the most probable site"},
        **{
            name: {"Description": f"probability of the site {name.removeprefix('p_')}, 0 to 1"}
            for name in probabilities
        },
        "saliency_in_brain": {
            "Description": "share of the positive saliency of the head that lies inside the "
            "brain, 0 to 1; n/a where no saliency map was made (--effort quick: 4 scans a site)"
        },
        "saliency_brain_ratio": {
            "Description": "that share divided by the brain's share of the head's volume; 1 for "
            "a map that ignores the brain, higher if the brain decides"
        },
    }
