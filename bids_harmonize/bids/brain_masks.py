"""Brain masks that somebody else made: ``desc-brain_mask`` of sMRIPrep, fMRIPrep and the like.

Choice: the file with the most entities of the scan wins, none that the scan lacks is allowed.
Reason: such programs drop ``run`` and ``ses`` where they average several images, so an equal
name cannot be asked for. Rejected: pybids (an index of a derivative takes minutes for what two
folders hold). Revisit when the standard says how a mask names the image it belongs to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bids_harmonize.bids.index import GivenMask, Scan
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.errors import InvalidDatasetError, ScanError, UnusableDataError

SUFFIXES = ("_desc-brain_mask.nii.gz", "_desc-brain_mask.nii")


def attach_brain_masks(scans: Iterable[Scan], derivatives: Mapping[str, Path]) -> tuple[Scan, ...]:
    """The scans, each with the brain mask that a derivative dataset has for it.

    Parameters
    ----------
    scans
        Scans of the raw dataset.
    derivatives
        Name to root of each derivative dataset; the first that has a mask wins.

    Returns
    -------
    tuple of Scan
        ``given_mask`` stays None where no dataset has one.

    Raises
    ------
    InvalidDatasetError
        If a folder is no derivative dataset.
    UnusableDataError
        If several masks of one dataset fit a scan equally well.
    """
    for name, root in derivatives.items():
        _check_derivative(name, root)
    faults: list[str] = []
    found = tuple(_attach(scan, derivatives, faults) for scan in scans)
    if faults:
        message = "\n".join(["several brain masks fit one scan equally well; keep one:", *faults])
        raise UnusableDataError(message)
    return found


def _attach(scan: Scan, derivatives: Mapping[str, Path], faults: list[str]) -> Scan:
    for name, root in derivatives.items():
        best = _best_masks(scan, root.absolute())
        if len(best) > 1:
            told = ", ".join(str(path.relative_to(root.absolute())) for path in best)
            faults.append(f"  {scan.stem}, -d {name}: {told}")
        elif best:
            lacks = tuple(
                key
                for key, value in scan.entities.items()
                if f"{key}-{value}" not in _parts(best[0])
            )
            return replace(scan, given_mask=GivenMask(best[0], name, root.absolute(), lacks))
    return scan


def _best_masks(scan: Scan, root: Path) -> list[Path]:
    """Masks that share the most entities with the scan and have none that it lacks."""
    own = {f"{key}-{value}" for key, value in scan.entities.items()}
    person = root / scan.participant_id
    folders = [person / "anat"]
    if scan.session_id is not None:
        folders.insert(0, person / scan.session_id / "anat")
    fitting: dict[int, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"{scan.participant_id}_*mask.nii*")):
            if path.name.endswith(SUFFIXES) and _parts(path) <= own:
                fitting.setdefault(len(_parts(path)), []).append(path)
    return fitting[max(fitting)] if fitting else []


def _parts(path: Path) -> set[str]:
    """Entities of a mask, ``desc`` aside, as ``key-value``."""
    return set(path.name.partition("_desc-brain")[0].split("_"))


def _check_derivative(name: str, root: Path) -> None:
    path = root / "dataset_description.json"
    try:
        description = read_json(path) if path.is_file() else None
    except ScanError as error:
        raise InvalidDatasetError(str(error)) from None
    if description is None:
        message = f"-d {name}={root}: no dataset_description.json, so it is no BIDS derivative"
        raise InvalidDatasetError(message)
    old_style = {"GeneratedBy", "PipelineDescription"} & set(description)
    if description.get("DatasetType", "derivative" if old_style else "raw") != "derivative":
        message = f"-d {name}={root}: {path.name} does not say DatasetType 'derivative'"
        raise InvalidDatasetError(message)
