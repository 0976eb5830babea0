"""The harmonizers that the stage ``harmonize`` fitted, read back from ``models/``."""

from pathlib import Path

from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import MissingInputError
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.harmonization.crossfit import HalfModels
from bids_harmonize.stages.harmonization.methods import names_to_fit


def load_delivered(context: StageContext) -> dict[str, Harmonizer]:
    """Every harmonizer fitted on all eligible scans.

    Parameters
    ----------
    context
        The study, whose ``models/`` is read.

    Returns
    -------
    dict
        Name to harmonizer, in the order of the table of harmonizers.

    Raises
    ------
    MissingInputError
        If the chosen one was not fitted.
    """
    delivered_folder(context)
    folders = {name: _folder(context, name) for name in HARMONIZERS}
    if context.study.outside_reference:  # models of an earlier run may lie there
        folders = {name: folders[name] for name in names_to_fit(context.settings)}
    return {name: load_harmonizer(path) for name, path in folders.items() if _is_model(path)}


def load_halves(context: StageContext) -> HalfModels | None:
    """The chosen harmonizer fitted on each half of the participants.

    Parameters
    ----------
    context
        The study, whose ``models/`` is read.

    Returns
    -------
    HalfModels or None
        ``None`` where the halves were too small to be fitted.
    """
    folders = half_folders(context)
    if folders is None:
        return None
    first, second = folders
    return HalfModels(
        halves=(people_of_half(first), people_of_half(second)),
        models=(load_harmonizer(first), load_harmonizer(second)),
    )


def delivered_folder(context: StageContext) -> Path:
    """Folder of the chosen harmonizer, fitted on all eligible scans.

    Raises
    ------
    MissingInputError
        If it was not fitted.
    """
    chosen = context.settings.group.harmonizer
    folder = _folder(context, chosen)
    if not _is_model(folder):
        message = (
            f"{folder}: no fitted harmonizer is there; run the stage harmonize with "
            f"--harmonizer {chosen} --reference-site {context.study.reference_site} first"
        )
        raise MissingInputError(message)
    return folder


def delivered_sha256(context: StageContext) -> str:
    """SHA-256 of the chosen harmonizer's weights; empty where it was not fitted."""
    path = _folder(context, context.settings.group.harmonizer) / "model.json"
    return str(read_json(path)["sha256"]) if path.is_file() else ""


def half_folders(context: StageContext) -> tuple[Path, Path] | None:
    """Folders of the chosen harmonizer fitted on half 1 and on half 2; ``None`` without them."""
    folder = _folder(context, context.settings.group.harmonizer)
    first, second = folder / "half-1", folder / "half-2"
    return (first, second) if _is_model(first) and _is_model(second) else None


def people_of_half(folder: Path) -> frozenset[str]:
    """Participants of a half: its model was fitted on them, or they were held back."""
    return frozenset(read_tsv(folder / "splits.tsv")["participant_id"])


def _folder(context: StageContext, name: str) -> Path:
    return harmonizer_folder(context.study.output_dir, name, context.study.reference_site)


def _is_model(folder: Path) -> bool:
    return (folder / "model.json").is_file()
