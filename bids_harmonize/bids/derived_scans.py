"""A preprocessed scan as the group level sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.scans import ScanRow
from bids_harmonize.errors import MissingInputError


@dataclass(frozen=True)
class DerivedScan:
    """One preprocessed scan.

    ``usable`` is false where the head or the brain mask is doubtful: the scan is harmonized and
    flagged, but neither trained on nor scored.
    """

    stem: str
    participant_id: str
    session_id: str | None
    site: str
    site_source: str
    t1w: Path
    head_mask: Path
    brain_mask: Path | None
    usable: bool
    quality: Mapping[str, float]


def derived_scan(
    output_dir: Path,
    stem: str,
    *,
    site: tuple[str, str],
    usable: bool,
    quality: Mapping[str, float] | None = None,
) -> DerivedScan:
    """One scan of the derivative.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    stem
        Name of the scan.
    site
        Its site and where that was read; ``n/a`` where it is not known.
    usable
        Whether its masks can be trusted.
    quality
        Its quality measures.

    Returns
    -------
    DerivedScan
        Its image and head mask are there.

    Raises
    ------
    MissingInputError
        If one of them is gone.
    """
    row = ScanRow(stem, {})
    t1w = scan_output(output_dir, stem, "preproc")
    head_mask = scan_output(output_dir, stem, "head_mask")
    brain_mask = scan_output(output_dir, stem, "brain_mask")
    for path in (t1w, head_mask):
        if not path.is_file():
            message = f"{path}: gone, though scans.tsv lists it; run participant again"
            raise MissingInputError(message)
    return DerivedScan(
        stem=stem,
        participant_id=row.participant_id,
        session_id=row.session_id,
        site=site[0],
        site_source=site[1],
        t1w=t1w,
        head_mask=head_mask,
        brain_mask=brain_mask if brain_mask.is_file() else None,
        usable=usable,
        quality=quality or {},
    )
