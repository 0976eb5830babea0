"""Options that name datasets beside ``bids_dir``, and the index on disk: what contradicts."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.bids.index import RAW


def dataset_faults(
    selection: Mapping[str, Any], *, bids_dir: Path, output_dir: Path, words: Collection[str]
) -> list[str]:
    """What is wrong about options that name datasets, at the participant level.

    Parameters
    ----------
    selection
        Section ``selection`` as given, before defaults.
    bids_dir, output_dir
        As given.
    words
        Names of the arguments that were given.

    Returns
    -------
    list of str
        One sentence a fault, with what to do.
    """
    derivatives = _paths(selection.get("derivatives"))
    further = _paths(selection.get("dataset"))
    faults = _derivative_faults(derivatives, output_dir=output_dir)
    faults += _further_faults(further, bids_dir=bids_dir, taken=set(derivatives))
    prefix, same = (bool(selection.get(name)) for name in ("label_prefix", "same_participants"))
    for option, given in (("--label-prefix", prefix), ("--same-participants", same)):
        if given and not further:
            faults.append(f"{option} goes with --dataset NAME=PATH, which adds a dataset")
    if prefix and same:
        faults.append(
            "--label-prefix says that one label in two datasets is two people, and "
            "--same-participants that it is one person; keep one of them"
        )
    if prefix and derivatives:
        faults.append(
            "-d goes ill with --label-prefix: nobody can tell whose masks it holds where a label "
            "means several people; run participant once for each dataset without -d, or rename"
        )
    folder = selection.get("bids_database_dir")
    if "bids_database_wipe" in words and folder is None:
        faults.append("--bids-database-wipe goes with --bids-database-dir, which it empties")
    if isinstance(folder, str) and Path(folder).exists() and not Path(folder).is_dir():
        faults.append(f"--bids-database-dir {folder}: this is no folder")
    return faults


def _derivative_faults(derivatives: Mapping[str, Path], *, output_dir: Path) -> list[str]:
    faults = [
        f"-d {name}={path}: {name!r} cannot name a dataset; use letters, digits, - and _, not raw"
        for name, path in derivatives.items()
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name == RAW
    ]
    faults += [
        f"-d {name}={path}: no such folder"
        for name, path in derivatives.items()
        if not path.is_dir()
    ]
    return faults + [
        f"-d {name}={path} is output_dir: a run cannot take its own masks as given ones"
        for name, path in derivatives.items()
        if path.resolve() == output_dir.resolve()
    ]


def _further_faults(
    further: Mapping[str, Path], *, bids_dir: Path, taken: Collection[str]
) -> list[str]:
    faults = []
    seen = {bids_dir.resolve(): "bids_dir"}
    for name, path in further.items():
        told = f"--dataset {name}={path}"
        if not re.fullmatch(r"[A-Za-z0-9]+", name) or name == RAW:
            faults.append(
                f"{told}: {name!r} cannot name a dataset; use letters and digits, not raw"
            )
        if name in taken:
            faults.append(f"{told}: -d names another dataset {name}; give one of them a new name")
        if not path.is_dir():
            faults.append(f"{told}: no such folder")
        same = seen.setdefault(path.resolve(), f"--dataset {name}")
        if same != f"--dataset {name}":
            faults.append(f"{told} is the folder of {same}; name each dataset once")
    return faults


def _paths(named: object) -> dict[str, Path]:
    """Name to path; what is no text is told elsewhere."""
    if not isinstance(named, Mapping):
        return {}
    return {str(name): Path(path) for name, path in named.items() if isinstance(path, str)}
