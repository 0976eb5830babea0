"""Several raw datasets as one study: whose scans they hold, and when a label is one person.

Choice: participants of ``bids_dir`` keep their labels; with ``--label-prefix`` those of a further
dataset get its name before theirs. Reason: an output that holds ``bids_dir`` alone stays right
when a dataset is added. Rejected: to guess from age and sex whether a label that two datasets
share is one person: a wrong guess puts one person's scans on both sides of a split.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bids_harmonize.bids.index import (
    RAW,
    Scan,
    index_scans,
    of_sessions,
    read_description,
    select_participants,
)
from bids_harmonize.bids.layout import IndexFolder
from bids_harmonize.bids.sites import resolve_sites
from bids_harmonize.config import SelectionSettings, SiteSettings
from bids_harmonize.errors import MissingInputError, SelectionError, UnusableDataError

_SHOWN = 20


@dataclass(frozen=True)
class RawDataset:
    """One raw dataset of a study.

    Parameters
    ----------
    root
        Its folder.
    name
        Its key in ``DatasetLinks``; ``raw`` for ``bids_dir``.
    prefix
        What stands before its participants' labels in the derivative; empty for most.
    """

    root: Path
    name: str = RAW
    prefix: str = ""

    def label(self, source_label: str) -> str:
        """A participant's label in the derivative, both without ``sub-``."""
        return f"{self.prefix}{source_label}"

    def source_labels(self, labels: Iterable[str]) -> list[str]:
        """Labels of this dataset for those of the derivative, as far as they can be its."""
        return [
            label.removeprefix(self.prefix) for label in labels if label.startswith(self.prefix)
        ]

    def participants(self) -> tuple[str, ...]:
        """Labels that its participants have in the derivative, without ``sub-``, sorted."""
        return tuple(self.label(label) for label in select_participants(self.root, ()))


def raw_datasets(bids_dir: Path, selection: SelectionSettings) -> tuple[RawDataset, ...]:
    """``bids_dir`` and the further datasets that the settings name, in this order."""
    further = (
        RawDataset(Path(path).absolute(), name, name if selection.label_prefix else "")
        for name, path in selection.dataset.items()
    )
    return (RawDataset(bids_dir), *further)


def check_datasets(datasets: Sequence[RawDataset], *, same_participants: bool) -> None:
    """Refuse labels that stand in two datasets, unless they are said to be one person.

    All participants count, selected or not: jobs for one person each must agree.

    Raises
    ------
    InvalidDatasetError
        If a folder is no raw BIDS dataset.
    UnusableDataError
        If a label stands in two datasets; lists them.
    """
    owners: dict[str, list[str]] = {}
    for dataset in datasets:
        read_description(dataset.root)
        for label in dataset.participants():
            owners.setdefault(label, []).append(dataset.name)
    shared = {label: names for label, names in sorted(owners.items()) if len(names) > 1}
    if same_participants or not shared:
        return
    lines = [f"{len(shared)} labels stand in several datasets:"]
    lines += [f"  sub-{label}\t{', '.join(names)}" for label, names in shared.items()][:_SHOWN]
    lines += [f"  and {len(shared) - _SHOWN} more"] if len(shared) > _SHOWN else []
    lines.append(
        "if these are different people, give --label-prefix (sub-<NAME><label> for those of "
        "--dataset NAME); if each is one person, give --same-participants"
    )
    raise UnusableDataError("\n".join(lines))


def index_datasets(
    datasets: Sequence[RawDataset],
    *,
    selection: SelectionSettings,
    indexes: Mapping[str, IndexFolder] | None = None,
) -> tuple[Scan, ...]:
    """The selected scans of all datasets, sorted by name, with their labels of the derivative.

    Parameters
    ----------
    datasets
        ``bids_dir`` first.
    selection
        Labels are those of the derivative; a dataset that has none of them is passed over.
    indexes
        Name of a dataset to where its index lies or is made.

    Returns
    -------
    tuple of Scan
        At least one; sites are not resolved yet.

    Raises
    ------
    HarmonizeError
        As ``index_scans``.
    UnusableDataError
        If labels of two datasets clash, or two of their scans would have the same name.
    """
    indexes = indexes or {}
    if len(datasets) == 1:
        return index_scans(datasets[0].root, selection=selection, index=indexes.get(RAW))
    check_datasets(datasets, same_participants=selection.same_participants)
    _refuse_unknown(datasets, selection.participant_label)
    scans: list[Scan] = []
    faults: list[MissingInputError | SelectionError] = []
    for dataset in datasets:
        labels = selected_labels(dataset, selection.participant_label)
        if labels is None:
            continue
        own = replace(selection, participant_label=labels, session_label=())
        try:
            found = index_scans(dataset.root, selection=own, index=indexes.get(dataset.name))
        except (MissingInputError, SelectionError) as error:
            faults.append(error)
        else:
            scans += [_relabelled(scan, dataset) for scan in found]
    if not scans:
        raise type(faults[0])("\n".join(str(fault) for fault in faults))
    scans = sorted(of_sessions(scans, selection.session_label), key=lambda scan: scan.stem)
    _refuse_twins(scans)
    return tuple(scans)


def selected_labels(dataset: RawDataset, labels: Sequence[str]) -> tuple[str, ...] | None:
    """The dataset's own labels of the selected participants; ``None`` where it has none of them.

    Parameters
    ----------
    dataset
        One of the study's.
    labels
        Of the derivative; empty means all, which comes back empty.
    """
    if not labels:
        return ()
    own = set(dataset.source_labels(labels)) & set(select_participants(dataset.root, ()))
    return tuple(sorted(own)) or None


def resolve_dataset_sites(
    scans: Sequence[Scan],
    datasets: Sequence[RawDataset],
    *,
    settings: SiteSettings,
    site_map: Mapping[str, str] | None = None,
) -> tuple[Scan, ...]:
    """The scans with their sites, each read in its own dataset; in the given order."""
    found: dict[str, Scan] = {}
    for dataset in datasets:
        own = [scan for scan in scans if scan.dataset == dataset.name]
        resolved = resolve_sites(own, dataset.root, settings=settings, site_map=site_map)
        found |= {scan.stem: scan for scan in resolved}
    return tuple(found[scan.stem] for scan in scans)


def _relabelled(scan: Scan, dataset: RawDataset) -> Scan:
    label = dataset.label(scan.entities["sub"])
    return replace(
        scan,
        participant_id=f"sub-{label}",
        entities={**scan.entities, "sub": label},
        dataset=dataset.name,
    )


def _refuse_unknown(datasets: Sequence[RawDataset], labels: Sequence[str]) -> None:
    present = sorted({label for dataset in datasets for label in dataset.participants()})
    unknown = sorted(set(labels) - set(present))
    if unknown:
        some = ", ".join(present[:10]) + (", ..." if len(present) > 10 else "")
        message = (
            f"no participant {', '.join(unknown)} in {', '.join(d.name for d in datasets)}; the "
            f"{len(present)} there are: {some or 'none'}"
        )
        raise SelectionError(message)


def _refuse_twins(scans: Sequence[Scan]) -> None:
    """Refuse scans of one person whose names are the same in two datasets."""
    paths: dict[str, list[Path]] = {}
    for scan in scans:
        paths.setdefault(scan.stem, []).append(scan.path)
    twins = [f"  {stem}\t{', '.join(map(str, p))}" for stem, p in paths.items() if len(p) > 1]
    if twins:
        message = "\n".join(
            [
                "scans of one person have the same name in two datasets, so that one would "
                "overwrite the other; give their sessions different labels (ses-*):",
                *twins,
            ]
        )
        raise UnusableDataError(message)
