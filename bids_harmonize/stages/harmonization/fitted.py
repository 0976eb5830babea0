"""The harmonizers that the stage ``harmonize`` fitted, read back from ``models/``."""

from pathlib import Path

from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import MissingInputError
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.harmonization.crossfit import HalfModels
from bids_harmonize.stages.harmonization.models import names_to_fit


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
    folders = {name: _folder(context, name) for name in HARMONIZERS}
    chosen = context.settings.group.harmonizer
    if not _is_model(folders[chosen]):
        message = (
            f"{folders[chosen]}: no fitted harmonizer is there; run the stage harmonize with "
            f"--harmonizer {chosen} --reference-site {context.study.reference_site} first"
        )
        raise MissingInputError(message)
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
    folder = _folder(context, context.settings.group.harmonizer)
    first, second = folder / "half-1", folder / "half-2"
    if not (_is_model(first) and _is_model(second)):
        return None
    return HalfModels(
        halves=(_fitted_on(first), _fitted_on(second)),
        models=(load_harmonizer(first), load_harmonizer(second)),
    )


def _folder(context: StageContext, name: str) -> Path:
    return harmonizer_folder(context.study.output_dir, name, context.study.reference_site)


def _is_model(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def _fitted_on(folder: Path) -> frozenset[str]:
    return frozenset(read_tsv(folder / "training.tsv")["participant_id"])
