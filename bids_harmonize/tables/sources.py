"""What a path of ``--features`` is: a table, or a folder of another tool's results."""

from pathlib import Path

from bids_harmonize.errors import UsageError
from bids_harmonize.tables.cat12 import is_cat12, read_cat12
from bids_harmonize.tables.folders import FolderRows
from bids_harmonize.tables.freesurfer import is_freesurfer, read_freesurfer

_READERS = ((is_freesurfer, read_freesurfer), (is_cat12, read_cat12))


def read_folder(root: Path) -> FolderRows:
    """The features in a folder of FreeSurfer, FastSurfer or CAT12.

    Parameters
    ----------
    root
        A subjects directory, or a folder with CAT12's files of regions in it or below.

    Returns
    -------
    FolderRows
        One row a subject, or a subject and session.

    Raises
    ------
    UsageError
        If it is neither, or cannot be looked into.
    UnusableDataError
        If subjects are faulty; all are named.
    """
    try:
        for recognizes, read in _READERS:
            if recognizes(root):
                return read(root)
        is_subject = (root / "stats").is_dir()
    except OSError as error:
        message = f"{error.filename or root}: cannot be read: {error.strerror or error}"
        raise UsageError(message) from None
    found = "give the folder that holds the subjects (of fMRIPrep: sourcedata/freesurfer)"
    if is_subject:
        found = "it is the folder of one subject; give the one above it"
    message = (
        f"{root}: neither a subjects directory of FreeSurfer or FastSurfer "
        "(<subject>/stats/aseg.stats, lh.aparc.stats, ...) nor results of CAT12 "
        f"(label/catROI_*.xml): {found}"
    )
    raise UsageError(message)
