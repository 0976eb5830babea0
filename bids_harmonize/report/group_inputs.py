"""Everything that the group page reads from disk, gathered once.

The page never computes a result: a table that is not there is a section that says so. The only
things derived here are who took part, by the same function that the group level used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.scans import read_scan_rows
from bids_harmonize.bids.study import Study, load_study
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import Settings
from bids_harmonize.errors import HarmonizeError, MissingInputError
from bids_harmonize.networks.generators import GENERATORS
from bids_harmonize.report.group_run import RunRecord, newest_run
from bids_harmonize.report.group_tables import DISORDER_TABLES, NUMBER_COLUMNS, TABLES
from bids_harmonize.report.group_words import NOT_HARMONIZERS, is_feature_table

CURVE_TEXT_COLUMNS = frozenset({"source_site", "phase"})


@dataclass(frozen=True)
class HarmonizerFolder:
    """A trained harmonizer on disk: its name, reference site, ``model.json`` and curves."""

    folder: Path
    name: str
    reference_site: str
    model: Mapping[str, Any]
    curves: pd.DataFrame | None

    @property
    def fell_back(self) -> tuple[str, ...]:
        """Source sites whose training diverged, so that a simpler method serves them."""
        learnt = self.model.get("learnt")
        sites = learnt.get("fell_back") if isinstance(learnt, dict) else None
        return tuple(str(site) for site in sites or ())

    @property
    def draws(self) -> bool:
        """Whether its generators can draw and erase structure."""
        own = self.model.get("settings")
        kind = own.get("generator") if isinstance(own, dict) else None
        return kind in GENERATORS and GENERATORS[str(kind)].draws


@dataclass(frozen=True)
class GroupInputs:
    """What is on disk of a group run; whatever is missing is ``None`` or empty.

    ``scans`` has one row a scan: stem, participant_id, site, doubtful, and quality measures.
    """

    output_dir: Path
    tables: Mapping[str, pd.DataFrame]
    scans: pd.DataFrame
    run: RunRecord | None
    study: Study | None
    study_problem: str
    harmonizers: tuple[HarmonizerFolder, ...]
    dataset: Mapping[str, Any]

    @property
    def settings(self) -> Settings:
        """The run's settings, defaults where they cannot be read."""
        return (self.run.settings if self.run else None) or Settings()

    @property
    def from_features(self) -> bool:
        """Whether the output was made from a feature table alone, without any scan."""
        table = self.tables.get("siteclassification")
        if not self.scans.empty:
            return False
        if table is None:
            return "features" not in self.tables and not DISORDER_TABLES.isdisjoint(self.tables)
        if "images" not in table:
            return False
        return any(is_feature_table(str(images)) for images in table["images"])

    @property
    def chosen(self) -> HarmonizerFolder | None:
        """The harmonizer whose images stand in the dataset."""
        wanted = self.settings.group.harmonizer
        by_name = {folder.name: folder for folder in self.harmonizers}
        return by_name.get(wanted) or (self.harmonizers[0] if self.harmonizers else None)

    @property
    def reference_site(self) -> str | None:
        """The site that the others were brought to, where known."""
        if self.chosen is not None:
            return self.chosen.reference_site
        return self.study.reference_site if self.study else None

    @property
    def chosen_method(self) -> str | None:
        """Name of the chosen harmonizer in the tables' column ``method``."""
        if self.chosen is not None:
            return self.chosen.name
        for key in ("methods", "travelling"):
            if key in self.tables:
                found = [m for m in self.tables[key]["method"] if m not in NOT_HARMONIZERS]
                if found:
                    return str(found[0])
        return None


def read_group_inputs(
    output_dir: Path, *, site_map: Mapping[str, str] | None = None
) -> GroupInputs:
    """Read the tables, scans, settings, models and the study of an output dataset.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    site_map
        Scan, session or participant to site, as the group level was given.

    Returns
    -------
    GroupInputs
        The record; a table that does not exist is absent from ``tables``.

    Raises
    ------
    MissingInputError
        If no participant-level output is there at all.
    """
    run = newest_run(output_dir)
    settings = (run.settings if run else None) or Settings()
    study, problem = _try_study(output_dir, settings, site_map)
    scans = _scans_frame(output_dir, study)
    tables = {
        key: frame
        for key in TABLES
        if (frame := read_group_table(output_dir / f"group_{key}.tsv")) is not None
    }
    if scans.empty and not tables:
        message = (
            f"{output_dir}: found no sub-*_scans.tsv and no group table, expected the output of "
            "the participant level; run that first"
        )
        raise MissingInputError(message)
    return GroupInputs(
        output_dir=output_dir,
        tables=tables,
        scans=scans,
        run=run,
        study=study,
        study_problem=problem,
        harmonizers=_read_harmonizers(output_dir),
        dataset=_read_json(output_dir / "dataset_description.json"),
    )


def read_group_table(path: Path) -> pd.DataFrame | None:
    """A group table with numbers in its number columns; ``None`` where it is absent or empty.

    Parameters
    ----------
    path
        A TSV file as :func:`bids_harmonize.bids.tables.write_table` writes it.

    Returns
    -------
    pandas.DataFrame or None
        Every other column is text or ``None``, so that a site named "1" stays "1". A number
        column that the file lacks is all NaN.
    """
    frame = _read_text(path)
    if frame is None:
        return None
    numbers = {
        column: pd.to_numeric(frame[column], errors="coerce").astype(float)
        if column in frame
        else pd.Series(np.nan, index=frame.index)
        for column in sorted(NUMBER_COLUMNS)
    }
    others = frame.drop(columns=[column for column in frame if column in NUMBER_COLUMNS])
    both = pd.concat([others, pd.DataFrame(numbers, index=frame.index)], axis=1)
    return both[list(dict.fromkeys((*frame.columns, *numbers)))]


def read_curves(path: Path) -> pd.DataFrame | None:
    """Training curves with numbers in every column but the site; ``None`` where absent."""
    frame = _read_text(path)
    if frame is None:
        return None
    for column in frame.columns:
        if column not in CURVE_TEXT_COLUMNS:
            frame[column] = pd.to_numeric(frame[column], errors="coerce").astype(float)
    return frame


def _read_text(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    frame = read_tsv(path)
    if frame.empty:
        return None
    return frame.astype(object).where(frame.notna(), None)


def _scans_frame(output_dir: Path, study: Study | None) -> pd.DataFrame:
    """One row a scan; the site is the group level's where the study can be read."""
    sites = {scan.stem: scan.site for scan in study.scans} if study else {}
    records = [
        {
            "stem": row.stem,
            "participant_id": row.participant_id,
            "site": sites.get(row.stem, row.cells.get("site")),
            "doubtful": row.doubtful,
            **row.quality(),
        }
        for row in read_scan_rows(output_dir)
    ]
    return pd.DataFrame(records)


def _try_study(
    output_dir: Path, settings: Settings, site_map: Mapping[str, str] | None
) -> tuple[Study | None, str]:
    try:
        return load_study(output_dir, settings=settings, site_map=site_map), ""
    except HarmonizeError as error:
        return None, str(error)


def _read_harmonizers(output_dir: Path) -> tuple[HarmonizerFolder, ...]:
    found = []
    for folder in sorted((output_dir / "models").glob("*_to-*")):
        name, label = folder.name.split("_to-", 1)
        model = _read_json(folder / "model.json")
        found.append(
            HarmonizerFolder(
                folder=folder,
                name=name,
                reference_site=str(model.get("reference_site", label)),
                model=model,
                curves=read_curves(folder / "training_curve.tsv"),
            )
        )
    return tuple(found)


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
