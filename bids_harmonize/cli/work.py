"""The work directory: made, marked as ours, and emptied only if it is."""

import shutil
from pathlib import Path

from bids_harmonize.bids.files import writing_fault
from bids_harmonize.cli.request import Request
from bids_harmonize.errors import UsageError

MARKER = ".bids-harmonize-work"


def prepare_work_dir(request: Request) -> Path:
    """Make the work directory, or empty it if that was asked for.

    Parameters
    ----------
    request
        Names the folder.

    Returns
    -------
    Path
        It exists.

    Raises
    ------
    UsageError
        If it holds the input or the output, or is to be emptied but was not made by this app.
    OutputError, StorageError
        If it cannot be written.
    """
    work_dir = request.work_dir.resolve()
    for name, folder in (("bids_dir", request.bids_dir), ("output_dir", request.output_dir)):
        if work_dir == folder.resolve() or work_dir in folder.resolve().parents:
            message = f"--work-dir {work_dir} holds {name} {folder}; give another folder"
            raise UsageError(message)
    try:
        ours = not work_dir.exists() or not any(work_dir.iterdir())
        ours = ours or (work_dir / MARKER).is_file()
        if request.clean_workdir and not ours:
            message = (
                f"--clean-workdir: {work_dir} was not made by bids-harmonize (no {MARKER} in it), "
                "so nothing was deleted; empty it yourself, or give another --work-dir"
            )
            raise UsageError(message)
        if request.clean_workdir and work_dir.exists():
            shutil.rmtree(work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        if ours:
            (work_dir / MARKER).touch()
    except OSError as error:
        raise writing_fault(error, work_dir) from error
    return work_dir
