"""The derivative dataset of a run that works on tables of features, without any image."""

from collections.abc import Mapping
from pathlib import Path

from bids_harmonize.bids.dataset import BIDS_VERSION, write_surroundings
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.provenance import generated_by


def prepare_table_output(output_dir: Path, *, container: Mapping[str, str] | None = None) -> None:
    """Write the files around the tables; the description of a participant-level run stays.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    container
        What the software runs in, for ``GeneratedBy``.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    path = output_dir / "dataset_description.json"
    if not path.exists():
        description = {
            "Name": "Harmonization of tables of features",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": generated_by(container),
        }
        write_json(path, description)
    write_surroundings(output_dir)
