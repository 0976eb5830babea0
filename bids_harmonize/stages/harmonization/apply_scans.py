"""A trained harmonizer at participant level: one scan after the other, without a study.

Choice: a scan is claimed while its image is made, and its own files are all that is written.
Reason: any number of jobs share the output, and a scan's preprocessed image must not change under
the eyes of who reads it. Rejected: images that wait until all are made, as at group level: a job
for one scan has nothing to wait for. Revisit if a scan's image comes to depend on other scans.
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bids_harmonize.bids.claims import Claims, scan_claim
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import remove_leftovers, write_json, write_text
from bids_harmonize.bids.harmonized import sidecars_of
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import group_crash_file
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import image_path, sidecar_path
from bids_harmonize.errors import ScanError
from bids_harmonize.stages.harmonization.image_jobs import forget_crashes, make_image
from bids_harmonize.stages.harmonization.image_sidecars import (
    ImageMaker,
    is_current,
    make_sidecar,
)

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class HarmonizedScans:
    """What came of the scans, by name.

    Attributes
    ----------
    made, kept
        Images made now, and those that were still right.
    busy
        Left to another run that holds the scan.
    failures
        Name to what went wrong.
    """

    made: tuple[str, ...]
    kept: tuple[str, ...]
    busy: tuple[str, ...]
    failures: Mapping[str, str]


def harmonize_scans(
    scans: Sequence[DerivedScan],
    maker: ImageMaker,
    *,
    claims: Claims,
    resume: bool,
    run_id: str,
) -> HarmonizedScans:
    """Write the harmonized image of every scan into its own folder.

    Parameters
    ----------
    scans
        Preprocessed, on the model's grid, of sites that it serves.
    maker
        The harmonizer.
    claims
        Of this process on the output directory.
    resume
        Whether images that are still right are kept.
    run_id
        Names the folder of crash files.

    Returns
    -------
    HarmonizedScans
        A scan that fails leaves a crash file, and the others go on.

    Raises
    ------
    OutputError, StorageError
        If nothing can be written any more.
    """
    made: list[str] = []
    kept: list[str] = []
    busy: list[str] = []
    failures: dict[str, str] = {}
    for number, scan in enumerate(scans, start=1):
        if not claims.take(scan_claim(scan.stem)):
            busy.append(scan.stem)
            continue
        try:
            is_new = _harmonize(scan, maker, resume=resume)
        except ScanError as error:
            failures[scan.stem] = str(error)
            crash = group_crash_file(maker.output_dir, scan, run_id)
            write_text(crash, f"{error}\n\n{traceback.format_exc()}")
            continue
        finally:
            claims.drop(scan_claim(scan.stem))
        forget_crashes(maker.output_dir, scan)
        (made if is_new else kept).append(scan.stem)
        if is_new:
            LOGGER.info("harmonized %d of %d: %s", number, len(scans), scan.stem)
    return HarmonizedScans(tuple(made), tuple(kept), tuple(busy), failures)


def _harmonize(scan: DerivedScan, maker: ImageMaker, *, resume: bool) -> bool:
    """Whether the image was made now; raises ScanError if it cannot be."""
    if scan.brain_mask is None and maker.harmonizer.frame.scaling_mask == "brain":
        message = (
            f"{scan.t1w}: found no brain mask, and the model takes its unit in one; run with a "
            "--brain-mask, or bring one with -d"
        )
        raise ScanError(message)
    image, sha256 = maker.image(scan), file_sha256(scan.t1w)
    is_new = not (resume and is_current(maker, scan, sha256=sha256))
    if is_new:
        remove_leftovers(image.parent, of=image.name.removesuffix(".nii.gz"))
        made = make_image(scan, maker.harmonizer)
        sidecar = make_sidecar(maker, scan, sha256=sha256, distance=made.distance)
        # An image without its sidecar counts as none: a kill between the two is made good.
        sidecar_path(image).unlink(missing_ok=True)
        write_image(image, made.volume, made.affine)
        write_json(sidecar_path(image), sidecar)
    for other in sidecars_of(maker.output_dir, scan.stem):
        if other != sidecar_path(image):
            image_path(other).unlink(missing_ok=True)
            other.unlink(missing_ok=True)
    return is_new
