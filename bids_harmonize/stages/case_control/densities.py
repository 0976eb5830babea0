"""Smoothed densities of the people who are compared, as one array on disk."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import OUTPUTS, group_output
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import ScanError, UnusableDataError
from bids_harmonize.imaging.types import Mask
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.records import StageContext
from bids_harmonize.stages.tissue.density import density_mask, read_density

_ASKED = "gm_volume_ml"
"""The number by which the files of a scan are known to be those of the table's row."""
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Densities:
    """Densities of the people of a cohort.

    Attributes
    ----------
    cohort
        The people, in this order.
    values
        Float32 (n_people, n_voxels), a memory map: the mean of a person's scans.
    sha256
        Of the values.
    """

    cohort: Cohort
    values: np.ndarray
    sha256: str


@contextmanager
def read_densities(
    context: StageContext, cohorts: Sequence[Cohort]
) -> Iterator[tuple[Mask, list[Densities]]]:
    """The densities of the people of every table, in files that go when the block ends.

    Parameters
    ----------
    context
        The study; its work directory holds what the stage ``features`` left.
    cohorts
        One a table.

    Yields
    ------
    mask
        Bool (I, J, K) on the grid of the densities: voxels that are known in everybody.
    densities
        At these voxels, in C order; one a cohort.

    Raises
    ------
    UnusableDataError
        If the density of a scan is not there, or is that of another image; the message names it
        and says what to do.
    """
    table = read_tsv(group_output(context.study.output_dir, "group_features"))
    files = [_files(context.work_dir / "features", table, cohort) for cohort in cohorts]
    known = np.ones(int(density_mask().sum()), dtype=bool)
    for path in (path for own in files for paths in own.values() for path in paths):
        known &= np.isfinite(_read(path))
    mask = np.zeros(density_mask().shape, dtype=bool)
    mask[density_mask()] = known
    folder = context.work_dir / "disorder"
    folder.mkdir(parents=True, exist_ok=True)
    stacks = [folder / f"densities-{cohort.arm}.npy" for cohort in cohorts]
    try:
        yield (
            mask,
            [
                _stack(cohort, own, known, path)
                for cohort, own, path in zip(cohorts, files, stacks, strict=True)
            ],
        )
    finally:
        for path in stacks:
            path.unlink(missing_ok=True)


def _files(folder: Path, table: pd.DataFrame, cohort: Cohort) -> Mapping[str, list[Path]]:
    """Person to the files of the person's scans."""
    rows = table[(table["arm"] == cohort.arm) & table["participant_id"].isin(cohort.people.index)]
    files = [folder / f"{_stem(name)}_{cohort.arm}.npy" for name in rows["filename"]]
    missing = [
        one.stem
        for one, volume in zip(files, rows[_ASKED], strict=True)
        if not _belongs(one, float(volume))
    ]
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        message = (
            f"{len(missing)} of {len(files)} scans of the table {cohort.arm} have no density of "
            f"grey matter in {folder} that belongs to group_features.tsv "
            f"({', '.join(missing[:_MOST_NAMED])}{more}); run the stages features and disorder "
            "with one work directory"
        )
        raise UnusableDataError(message)
    found: dict[str, list[Path]] = {str(name): [] for name in cohort.people.index}
    for name, path in zip(rows["participant_id"], files, strict=True):
        found[str(name)].append(path)
    return found


def _stack(
    cohort: Cohort, files: Mapping[str, list[Path]], known: np.ndarray, path: Path
) -> Densities:
    values = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(len(files), int(known.sum()))
    )
    digest = hashlib.sha256()
    for place, paths in enumerate(files.values()):
        mean = np.mean([_read(one)[known] for one in paths], axis=0, dtype=np.float32)
        values[place] = mean
        digest.update(mean.tobytes())
    return Densities(cohort, values, digest.hexdigest())


def _read(path: Path) -> np.ndarray:
    try:
        return read_density(path)
    except ScanError as error:
        raise UnusableDataError(str(error)) from None


def _belongs(path: Path, volume_ml: float) -> bool:
    """Whether the files of a scan hold what its row in the table says."""
    if not path.is_file():
        return False
    try:
        found = read_json(path.with_suffix(".json"))["values"][_ASKED]
    except (ScanError, KeyError):
        return False
    return float(found) == volume_ml


def _stem(filename: str) -> str:
    return Path(filename).name.removesuffix(OUTPUTS["preproc"].pattern)
