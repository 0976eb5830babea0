"""Images of another tool as a method of the comparison, and as volumes for the probes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bids_harmonize.bids.images import read_grid
from bids_harmonize.bids.judged import JudgedImages, read_trained_on
from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.study import Study
from bids_harmonize.errors import DirectionError
from bids_harmonize.imaging.types import Volume
from bids_harmonize.stages.evaluation.pairs import ScanImages
from bids_harmonize.stages.evaluation.travelling import Method
from bids_harmonize.stages.harmonization.crossfit import kept_volumes, probe_volume
from bids_harmonize.stages.inputs import read_on_grid
from bids_harmonize.training.sources import LoadedScan
from bids_harmonize.training.volumes import DiskVolumes, VolumeSource


def judged_method(judged: JudgedImages, *, reference_site: str) -> Method:
    """A tool as a row of the comparison.

    Parameters
    ----------
    judged
        Its images.
    reference_site
        Where they are meant to look scanned.

    Returns
    -------
    Method
        Goes to the reference only, for scans that have an image.
    """

    def transform(images: ScanImages, to_site: str) -> Volume:
        if to_site != reference_site:
            message = f"{judged.method} was not asked for images of {to_site}"
            raise DirectionError(message)
        path = judged.images.get(images.scan.stem)
        if path is None:
            message = f"{judged.folder} has no image of {images.scan.stem}"
            raise DirectionError(message)
        return read_on_grid(path, images.volume.shape, images.affine)

    return Method(judged.method, transform)


def travellers_seen(
    study: Study, trained: Sequence[str], judged: Sequence[JudgedImages]
) -> dict[str, frozenset[str] | None]:
    """Travelling subjects whom each method was trained on, by its training.tsv.

    Parameters
    ----------
    study
        The study.
    trained
        This study's harmonizers; their tables lie beside the models.
    judged
        Images of other tools.

    Returns
    -------
    dict
        Method to people; ``None`` where no table says who trained it.

    Raises
    ------
    UnusableDataError
        If a table cannot be read.
    """
    people = {
        name: read_trained_on(harmonizer_folder(study.output_dir, name, study.reference_site))
        for name in trained
    }
    people |= {one.method: one.trained_on for one in judged}
    return {
        name: None if seen is None else seen & study.travelling for name, seen in people.items()
    }


def judged_volumes(
    judged: JudgedImages,
    sources: tuple[DiskVolumes, VolumeSource],
    *,
    reference_site: str,
    path: Path,
) -> VolumeSource | None:
    """Every eligible scan as the tool shows it; scans of the reference may stay as they are.

    Parameters
    ----------
    judged
        The tool's images.
    sources
        Eligible scans on the study grid, and the same on the probes' grid.
    reference_site
        Its scans without an image are taken as they are.
    path
        Array file in the work directory; replaced.

    Returns
    -------
    VolumeSource or None
        ``None`` where a scan of a source site has no image: a probe would tell by that.

    Raises
    ------
    ScanError
        If an image cannot be read.
    """
    native, network = sources
    lacking = {scan.site for scan in native.scans if scan.key not in judged.images}
    if lacking - {reference_site}:
        return None

    def made(index: int) -> Volume:
        scan = native.scans[index]
        if scan.key not in judged.images:
            return network.volume(index)
        make = _reading(judged.images[scan.key], scan.t1w)
        return probe_volume(make, native, index, resolution_mm=network.voxel_size_mm)

    return kept_volumes(network, made, path=path)


def _reading(path: Path, t1w: Path) -> Callable[[LoadedScan], Volume]:
    def make(scan: LoadedScan) -> Volume:
        return read_on_grid(path, scan.volume.shape, read_grid(t1w)[1])

    return make
