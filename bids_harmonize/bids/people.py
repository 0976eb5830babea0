"""``participants.tsv`` of the derivative: everybody in it, as the raw datasets describe them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.raw_datasets import RawDataset
from bids_harmonize.bids.sidecars import read_or_empty
from bids_harmonize.bids.tables import read_people, write_table

LOGGER = logging.getLogger(__name__)

ORIGIN_COLUMNS: dict[str, dict[str, Any]] = {
    "source_dataset": {
        "Description": "Raw dataset of the participant, as DatasetLinks calls it; several are"
        " joined by blanks."
    },
    "source_participant_id": {
        "Description": "Label of the participant in that dataset, before --label-prefix."
    },
}
"""What is written of people where a study has several raw datasets."""


def write_participants(
    output_dir: Path, bids_dir: Path, *, further: Sequence[RawDataset] = ()
) -> None:
    """Write ``participants.tsv`` for everybody who has a folder in the derivative.

    Rows come from the raw datasets; of participants that these do not have, those that stand in
    the derivative already are kept.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    bids_dir
        Root of the raw dataset.
    further
        Datasets beside it; people then get the columns of :data:`ORIGIN_COLUMNS`.

    Raises
    ------
    UnusableDataError
        If two rows of one participant disagree in one table.
    """
    people = sorted(path.name for path in output_dir.glob("sub-*") if path.is_dir())
    datasets = (RawDataset(bids_dir), *further)
    raw = _merged(datasets) if further else read_people(bids_dir / "participants.tsv")
    stood = read_people(output_dir / "participants.tsv")
    names = [*raw.columns, *(name for name in stood.columns if name not in raw.columns)]
    stood = stood.loc[[person for person in stood.index if person not in raw.index]]
    frame = pd.concat([raw, stood]).reindex(index=people, columns=names)
    frame.insert(0, "participant_id", people)
    described: dict[str, Any] = read_or_empty(output_dir / "participants.json")
    for dataset in reversed(datasets):
        described |= read_or_empty(dataset.root / "participants.json")
    described["participant_id"] = {"Description": "Label of the participant."}
    described |= ORIGIN_COLUMNS if further else {}
    unknown = {"Description": "As in the participants.tsv of the raw dataset."}
    columns = {name: _described(described.get(name), unknown) for name in frame.columns}
    write_table(output_dir / "participants.tsv", frame, columns)


def _merged(datasets: Sequence[RawDataset]) -> pd.DataFrame:
    """One row for everybody who has a folder in a dataset; what two datasets contradict is NA."""
    frames = [_with_origin(dataset) for dataset in datasets]
    stacked = pd.concat(frames)
    if not any(dataset.prefix for dataset in datasets):
        stacked = stacked.drop(columns="source_participant_id")
    shared = stacked.index[stacked.index.duplicated()].unique()
    if shared.empty:
        return stacked
    rows = stacked.loc[~stacked.index.isin(shared)]
    odd: dict[str, list[str]] = {}
    for person in shared:
        own = stacked.loc[person]
        cells = {name: own[name].dropna().unique() for name in stacked.columns}
        contradicted = [name for name, values in cells.items() if len(values) > 1]
        row: dict[str, Any] = {
            name: values[0] if len(values) == 1 else None for name, values in cells.items()
        }
        row["source_dataset"] = " ".join(own["source_dataset"])
        for name in contradicted:
            if name != "source_dataset":
                odd.setdefault(name, []).append(person)
        rows = pd.concat([rows, pd.DataFrame([row], index=pd.Index([person]))])
    for name, persons in odd.items():
        some = ", ".join(persons[:5]) + (", ..." if len(persons) > 5 else "")
        LOGGER.warning(
            "participants.tsv: the datasets disagree about %s of %s, so it is n/a there",
            name,
            some,
        )
    return rows.rename_axis("participant_id")


def _with_origin(dataset: RawDataset) -> pd.DataFrame:
    """Rows of a dataset's participants who have a folder, by their labels of the derivative."""
    frame = read_people(dataset.root / "participants.tsv")
    source = [f"sub-{label}" for label in dataset.source_labels(dataset.participants())]
    frame = frame.reindex(source)
    frame["source_dataset"] = dataset.name
    frame["source_participant_id"] = source
    frame.index = pd.Index(
        [f"sub-{dataset.label(name.removeprefix('sub-'))}" for name in source],
        name="participant_id",
    )
    return frame


def _described(entry: Any, otherwise: dict[str, Any]) -> dict[str, Any]:
    return dict(entry) if isinstance(entry, Mapping) else otherwise
