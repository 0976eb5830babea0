"""Files of a fitted harmonizer: weights, tables, model card; and how they take their place."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import MISSING, read_tsv
from bids_harmonize.config import settings_hash
from bids_harmonize.harmonizers.base import FitReport, Harmonizer
from bids_harmonize.harmonizers.model_card import CardFacts, make_card
from bids_harmonize.harmonizers.storage import save_harmonizer
from bids_harmonize.stages.inputs import bias_corrections

NEW = ".harmonize-new"
"""Folder of the output directory in which new models and images wait."""

EVALUATION = "evaluation.json"
"""What the stage ``evaluate`` measured of a model, beside its weights."""

HELD = "held-back"
"""Word of ``splits.tsv`` for those who stand in a half and in no fit: they are no controls."""

_CURVE_START = ("source_site", "iteration", "distance")
_NOT_LOSSES = (*_CURVE_START, "attempt", "distance_to_reference", "distance_to_source")


def write_model(
    folder: Path,
    harmonizer: Harmonizer,
    report: FitReport,
    *,
    training: pd.DataFrame,
    splits: pd.DataFrame,
    provenance: Mapping[str, Any],
) -> None:
    """Write a fitted harmonizer with its tables and its model card.

    Parameters
    ----------
    folder
        Made where absent.
    harmonizer, report
        A fitted one, and what happened while fitting.
    training
        What :func:`training_table` returned.
    splits
        Columns participant_id, site, split (train, monitor, held-back), half.
    provenance
        More for ``model.json``.
    """
    _write_tsv(folder / "training.tsv", training)
    _write_tsv(folder / "splits.tsv", splits)
    if report.rows:
        _write_tsv(folder / "training_curve.tsv", curve_table(report))
    described = {
        **provenance,
        "training_data_sha256": settings_hash(
            sorted(zip(training["filename"], training["sha256"], strict=True))
        ),
        "warnings": list(report.warnings),
    }
    save_harmonizer(harmonizer, folder, provenance=described)
    write_card(folder, harmonizer)


def write_card(folder: Path, harmonizer: Harmonizer) -> Path:
    """Write the model card from what lies in the model's folder; its path.

    Parameters
    ----------
    folder
        Holds ``model.json`` and ``splits.tsv``, and ``evaluation.json`` once the stage
        ``evaluate`` has looked at the model.
    harmonizer
        The model in it.

    Returns
    -------
    Path
        ``README.md``: this is the only place that writes it.
    """
    model = read_json(folder / "model.json")
    measured = folder / EVALUATION
    splits = read_tsv(folder / "splits.tsv")
    sites = splits.loc[splits["split"] != HELD, "site"]
    counts = {site: int((sites == site).sum()) for site in harmonizer.frame.sites}
    facts = CardFacts(
        grid_shape=tuple(model["grid"]["shape"]),
        license=model.get("training_data_license"),
        bias_correction=model.get("preprocessing", {}).get("bias_correction"),
        fitted_on=model.get("fitted_on", ""),
        measured=read_json(measured) if measured.is_file() else None,
    )
    report = FitReport(warnings=tuple(model["warnings"]))
    path = folder / "README.md"
    write_text(path, make_card(harmonizer, report, n_participants=counts, facts=facts))
    return path


def training_facts(study: Study) -> dict[str, Any]:
    """What ``model.json`` keeps of the data: licence, whom it was fitted on, and the images."""
    path = study.output_dir / "dataset_description.json"
    named = read_json(path).get("License") if path.is_file() else None
    made = bias_corrections(study.training_scans)
    return {
        "training_data_license": named,
        "fitted_on": study.fit_words,
        "preprocessing": {"bias_correction": next(iter(made)) if len(made) == 1 else None},
    }


def training_table(
    study: Study, scans: list[DerivedScan], sha256: Mapping[str, str]
) -> pd.DataFrame:
    """One row a scan: participant_id, site, filename in the dataset, sha256 of the file."""
    return pd.DataFrame(
        {
            "participant_id": [scan.participant_id for scan in scans],
            "site": [scan.site for scan in scans],
            "filename": [scan.t1w.relative_to(study.output_dir).as_posix() for scan in scans],
            "sha256": [sha256[scan.stem] for scan in scans],
        }
    )


def curve_table(report: FitReport) -> pd.DataFrame:
    """Losses and distances at every check of each pair's last attempt.

    ``distance`` is that of the monitor scans to the reference, ``distance_back`` the other way.
    """
    frame = pd.DataFrame([dict(row) for row in report.rows])
    last = frame.groupby("source_site")["attempt"].transform("max")
    frame = frame[frame["attempt"] == last].assign(distance=frame["distance_to_reference"])
    losses = [name for name in frame.columns if name not in _NOT_LOSSES]
    return frame[[*_CURVE_START, *losses]]


def swap(new: Path, output_dir: Path, folders: Iterable[Path]) -> list[Path]:
    """Put waiting model folders into their places; returns all their files.

    Parameters
    ----------
    new
        Where they wait, with the layout of ``output_dir``.
    output_dir
        Root of the derivative.
    folders
        The waiting folders; a half model lies inside its delivered model's folder.
    """
    files: list[Path] = []
    for folder in sorted(folders):
        final = output_dir / folder.relative_to(new)
        final.mkdir(parents=True, exist_ok=True)
        for old in [path for path in final.iterdir() if path.is_file()]:
            if old.name != "model.json" and not (folder / old.name).exists():
                old.unlink()
        # model.json comes last: where it stands, the folder is whole.
        names = sorted((p.name for p in folder.iterdir() if p.is_file()), key=_json_last)
        for name in names:
            (folder / name).replace(final / name)
            files.append(final / name)
    shutil.rmtree(new, ignore_errors=True)
    return files


def remove_old_halves(folder: Path) -> None:
    """Remove half models that belong to a delivered model which is there no more.

    Parameters
    ----------
    folder
        Of the delivered model. Without half models the site probes cannot tell; with those of
        other people they would tell something wrong.
    """
    for half in folder.glob("half-*"):
        shutil.rmtree(half)


def _json_last(name: str) -> tuple[bool, str]:
    return name == "model.json", name


def _write_tsv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(sep="\t", index=False, na_rep=MISSING, lineterminator="\n"))
