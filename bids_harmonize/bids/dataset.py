"""The derivative dataset around the images: description, ignore list, participants, read-me.

Many jobs write these files at once. Each computes the whole content from what lies there, writes
only if it differs, and renames into place: the last one writes what is right for all.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.claims import RUN, Claims
from bids_harmonize.bids.files import remove_leftovers, write_json, write_text, writing_fault
from bids_harmonize.bids.index import RAW, read_description
from bids_harmonize.bids.names import BIDSIGNORE, DESCRIPTIONS
from bids_harmonize.bids.people import write_participants
from bids_harmonize.bids.provenance import SOFTWARE, generated_by, keep_models
from bids_harmonize.bids.raw_datasets import RawDataset
from bids_harmonize.bids.readme import README
from bids_harmonize.bids.sidecars import read_or_empty
from bids_harmonize.bids.tables import write_table
from bids_harmonize.errors import UsageError

BIDS_VERSION = "1.10.0"

LEFTOVER_S = 24 * 3600.0
"""No file takes a day to write: an older half-written one is a killed run's."""

_HARMONIZED = "desc-harmonized"


def check_output_dir(bids_dir: Path | None, output_dir: Path) -> None:
    """Make the output directory, once it is sure that it harms nothing.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset; ``None`` at group level.
    output_dir
        Root of the derivative.

    Raises
    ------
    UsageError
        If ``output_dir`` is ``bids_dir`` or a folder above it, or is itself a raw dataset.
    OutputError
        If nothing can be written there.
    StorageError
        If the disk is full or fails.
    """
    check_place(bids_dir, output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output_dir) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise writing_fault(error, output_dir) from error


def check_place(bids_dir: Path | None, output_dir: Path) -> None:
    """Refuse an output directory that would harm raw data; writes nothing.

    Raises
    ------
    UsageError
        As in :func:`check_output_dir`.
    """
    output = output_dir.resolve()
    raw = None if bids_dir is None else bids_dir.resolve()
    if raw is not None and (output == raw or output in raw.parents):
        relation = "equal to" if output == raw else "above"
        message = (
            f"output_dir {output_dir} is {relation} bids_dir {bids_dir}; give another folder, "
            "for instance bids_dir/derivatives/bids-harmonize"
        )
        raise UsageError(message)
    if read_or_empty(output / "dataset_description.json").get("DatasetType") == "raw":
        message = f"output_dir {output_dir} is a raw dataset; give another folder"
        raise UsageError(message)


def prepare_output(
    output_dir: Path,
    bids_dir: Path,
    *,
    container: Mapping[str, str] | None = None,
    derivatives: Mapping[str, Path] | None = None,
    further: Sequence[RawDataset] = (),
) -> None:
    """Write the files around the images of a participant-level run.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    bids_dir
        Root of the raw dataset.
    container
        What the software runs in, for ``GeneratedBy``.
    derivatives
        Name to root of the derivative datasets that were read; links of earlier runs stay.
    further
        Raw datasets beside ``bids_dir``.

    Raises
    ------
    InvalidDatasetError
        If the raw dataset has no valid description.
    OutputError
        If a file cannot be written.
    StorageError
        If the disk is full or fails.
    """
    output_dir, bids_dir = output_dir.resolve(), bids_dir.resolve()
    raw = read_description(bids_dir)
    others = [read_description(dataset.root) for dataset in further]
    roots = {dataset.name: dataset.root for dataset in further}
    description = {
        "Name": f"Harmonization of {raw['Name']}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [*generated_by(container), *_standing_models(output_dir)],
        "SourceDatasets": [
            _source(content, root.resolve())
            for content, root in zip((raw, *others), (bids_dir, *roots.values()), strict=True)
        ],
        "DatasetLinks": _links(output_dir, bids_dir, {**roots, **(derivatives or {})}),
    }
    if raw.get("License") and all(raw["License"] == other.get("License") for other in others):
        description["License"] = raw["License"]
    write_json(output_dir / "dataset_description.json", description)
    write_surroundings(output_dir)
    write_participants(output_dir, bids_dir, further=further)


@contextmanager
def output_in_use(output_dir: Path, people: Iterable[str] | None = None) -> Iterator[Claims]:
    """Share the output directory with other runs while the block runs.

    Who finds it free first removes what killed runs left half-written a day or more ago: on some
    network mounts a lock holds on one host only, so that a live run elsewhere is not seen.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    people
        With ``sub-``: look for leftovers only in their folders, in the root and in the logs, since
        a job for one participant must not walk through a thousand; ``None`` means everywhere.

    Yields
    ------
    Claims
        Of this process on ``output_dir``.

    Raises
    ------
    OutputError, StorageError
        If nothing can be written there.
    """
    with Claims(output_dir) as claims:
        if claims.take(RUN) and claims.works:
            folders = {output_dir: people is None}
            folders |= {output_dir / name: True for name in ("logs", *(people or ()))}
            for folder, below in folders.items():
                remove_leftovers(folder, below=below, older_than_s=LEFTOVER_S)
        with claims.holding(RUN, shared=True):
            yield claims


def write_descriptions(output_dir: Path, *, harmonized_to: Iterable[str] = ()) -> None:
    """Write ``descriptions.tsv``: what every ``desc-`` label means.

    Parameters
    ----------
    output_dir
        Root of the derivative; its models tell which reference sites there are.
    harmonized_to
        Labels of further reference sites; those that the file names already stay.
    """
    path = output_dir / "descriptions.tsv"
    stood = [] if not path.is_file() else path.read_text("utf-8").splitlines()
    named = [line.split("\t")[0] for line in stood if line.startswith(_HARMONIZED)]
    labels = {name.removeprefix(_HARMONIZED) for name in named}
    labels |= {f.name.rpartition("_to-")[2] for f in (output_dir / "models").glob("*_to-*")}
    meaning = dict(DESCRIPTIONS)
    for label in sorted({*labels, *harmonized_to}):
        meaning[f"harmonized{label}"] = f"Image as if it came from the site {label}."
    rows = [(f"desc-{name}", text) for name, text in meaning.items()]
    frame = pd.DataFrame(rows, columns=["desc_id", "description"])
    columns = {
        "desc_id": {"Description": "Label as it stands in file names."},
        "description": {"Description": "What it means."},
    }
    write_table(path, frame, columns)


def link_to(target: Path, start: Path) -> str:
    """How ``start`` finds the dataset ``target``: relative where they share a folder.

    Parameters
    ----------
    target, start
        Absolute folders.

    Returns
    -------
    str
        For instance ``../../``, or a ``file://`` URI.

    Examples
    --------
    >>> link_to(Path("/data/bids"), Path("/data/out"))
    '../bids'
    """
    shared = [folder for folder in (start, *start.parents) if folder in (target, *target.parents)]
    if shared[0] == Path(shared[0].anchor):
        return target.as_uri()
    ups = len(start.relative_to(shared[0]).parts)
    return "/".join([".."] * ups + list(target.relative_to(shared[0]).parts)) or "."


def write_surroundings(output_dir: Path) -> None:
    """Write what every derivative has: the ignore list, the read-me and ``descriptions.tsv``."""
    write_text(output_dir / ".bidsignore", "".join(f"{line}\n" for line in BIDSIGNORE))
    write_text(output_dir / "README.md", README)
    write_descriptions(output_dir)


def _links(output_dir: Path, bids_dir: Path, others: Mapping[str, Path]) -> dict[str, str]:
    stood = read_or_empty(output_dir / "dataset_description.json").get("DatasetLinks", {})
    links = {RAW: link_to(bids_dir, output_dir)}
    links |= {name: link_to(root.resolve(), output_dir) for name, root in others.items()}
    return {**(stood if isinstance(stood, dict) else {}), **links}


def _standing_models(output_dir: Path) -> list[dict[str, Any]]:
    """Models that an earlier run named as makers of harmonized images."""
    stood = read_or_empty(output_dir / "dataset_description.json").get("GeneratedBy")
    return [entry for entry in keep_models(stood) if entry.get("Name") != SOFTWARE]


def _source(raw: Mapping[str, Any], bids_dir: Path) -> dict[str, str]:
    source = {"URL": bids_dir.as_uri()}
    if raw.get("DatasetDOI"):
        source["DOI"] = str(raw["DatasetDOI"])
    return source
