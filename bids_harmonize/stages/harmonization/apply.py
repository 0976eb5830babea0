"""Stage ``harmonize`` with ``--model-dir``: a trained harmonizer is applied, nothing is fitted.

Choice: a study whose grid, voxel size or scaling mask differ from the model's is refused. Reason:
the unit of the images and the reach of the generators would be others than those of training, and
no number shows the loss. Rejected: resampling to the model's grid, which blurs, and a second way
from scan to image. Revisit when a model is trained for several voxel sizes.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_harmonize.bids.harmonized import harmonized_sidecars
from bids_harmonize.bids.model_folders import choose_harmonizer
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import MISSING
from bids_harmonize.config import Settings
from bids_harmonize.errors import SiteError, UnusableDataError, UsageError
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.harmonization.files import NEW
from bids_harmonize.stages.harmonization.image_jobs import Stored
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker
from bids_harmonize.stages.harmonization.images import (
    check_present_images,
    place_images,
)
from bids_harmonize.stages.harmonization.shared_images import CPU, share_images
from bids_harmonize.stages.harmonization.unseen import far_scans
from bids_harmonize.stages.inputs import bias_corrections
from bids_harmonize.training.checkpoint import load_weights

_SAME_MM = 1e-3
_SHOWN = 20
_KEYS = ("fingerprint", "settings_hash", "random_seed", "grid")


@dataclass(frozen=True)
class AppliedModel:
    """A harmonizer of another run: itself, its ``model.json``, and where it lies."""

    harmonizer: Harmonizer
    model: Mapping[str, Any]
    folder: Path

    @property
    def words(self) -> str:
        """Method, reference site and the start of the weights' hash, for log and summary."""
        sha256 = str(self.model["sha256"])[:12]
        reference = self.harmonizer.frame.reference_site
        return f"{self.harmonizer.name} to {reference} (model {self.folder}, sha256 {sha256}...)"

    def maker(self, output_dir: Path, run_id: str | None) -> ImageMaker:
        """What makes images of a dataset with it; ``run_id`` as in :class:`ImageMaker`."""
        return ImageMaker(output_dir, self.harmonizer, self.folder.name, self.model, run_id)


@dataclass(frozen=True)
class Served:
    """Which scans a harmonizer serves, by name.

    Attributes
    ----------
    stems
        Those that are harmonized, the unseen ones among them.
    unseen
        Name to site of scans of sites that the model was not trained on; flagged.
    left_out
        Name to site of scans that it cannot serve.
    """

    stems: frozenset[str]
    unseen: Mapping[str, str]
    left_out: Mapping[str, str]


def load_applied(settings: Settings) -> AppliedModel:
    """The harmonizer that ``--model-dir`` names.

    Parameters
    ----------
    settings
        Of the run; the method and the reference site are those of the model.

    Returns
    -------
    AppliedModel
        On the CPU, so that a scan has the same bits whatever device trained.

    Raises
    ------
    UsageError
        If no such harmonizer is there.
    UnusableDataError
        If it is not whole, or of a version that this one cannot read.
    """
    chosen, reason = choose_harmonizer(
        Path(settings.group.model_dir or ""),
        name=settings.group.harmonizer,
        reference_site=settings.site.reference_site,
        default=settings.group.harmonizer,
    )
    if chosen is None:
        raise UsageError(reason)
    _, model = load_weights(chosen.folder)
    missing = [key for key in _KEYS if key not in model]
    if missing:
        message = (
            f"{chosen.folder / 'model.json'}: {', '.join(missing)} missing; give a folder that "
            "the stage harmonize wrote"
        )
        raise UnusableDataError(message)
    return AppliedModel(load_harmonizer(chosen.folder), model, chosen.folder.absolute())


def run(context: StageContext) -> StageResult:
    """Harmonize every scan that the harmonizer of ``--model-dir`` serves.

    Parameters
    ----------
    context
        The study without roles, the settings with ``model_dir``, and the place to work in.

    Returns
    -------
    StageResult
        Images; a failure for every scan that could not be harmonized, a warning for scans that
        are left out or of unseen sites.

    Raises
    ------
    UsageError
        If images of another harmonizer or reference are there.
    UnusableDataError
        If the model cannot be read, the study is not like the one that it was made for, or no
        scan is of a site that it serves.
    """
    study, settings = context.study, context.settings
    applied = load_applied(settings)
    check_fits(study, applied)
    served = served_scans({scan.stem: scan.site for scan in study.scans}, applied)
    check_served(served, applied)
    scans = [scan for scan in study.scans if scan.stem in served.stems]
    output_dir = study.output_dir
    frame = applied.harmonizer.frame
    check_present_images(
        output_dir,
        harmonized_sidecars(output_dir),
        wanted=(applied.harmonizer.name, frame.reference_site),
        overwrite=settings.group.overwrite_harmonized,
    )
    new = output_dir / NEW
    shutil.rmtree(new, ignore_errors=True)
    maker = applied.maker(output_dir, context.run_id)
    written = share_images(
        maker, scans, stored=Stored(applied.folder, settings.resources), new=new,
        resume=settings.run.resume, runtime=context.runtime, device=CPU,
    )  # fmt: skip
    images = place_images(written, new=new, output_dir=output_dir)
    shutil.rmtree(new, ignore_errors=True)
    notes = [
        f"{len(images) // 2} images were brought to {frame.reference_site} by {applied.words}; "
        f"{len(written.kept) // 2} of them were unchanged; nothing was fitted"
    ]
    return StageResult(
        "harmonize",
        files=tuple(images),
        warnings=(
            *served_words(served, applied),
            *far_scans(applied.harmonizer, written.distances),
        ),
        failures=written.failures,
        notes=tuple(notes),
        summary=f"{len(images) // 2} images by {applied.words}{left_out_words(served)}",
    )


def check_fits(study: Study, applied: AppliedModel) -> None:
    """Refuse a study whose scans are not like those that the model was made for.

    Raises
    ------
    UnusableDataError
        For another voxel size, grid, scaling mask or bias correction; all in one message.
    """
    frame = applied.harmonizer.frame
    grid = applied.model["grid"]
    faults = []
    if abs(study.voxel_size_mm - frame.voxel_size_mm) > _SAME_MM:
        faults.append(
            f"found voxels of {study.voxel_size_mm:g} mm, expected {frame.voxel_size_mm:g} mm: "
            f"run participant again with --resolution {frame.voxel_size_mm:g}"
        )
    if list(study.grid_shape) != list(grid["shape"]):
        shape = " ".join(map(str, grid["shape"]))
        faults.append(
            f"found a grid of {_by(study.grid_shape)} voxels, expected {_by(grid['shape'])}: run "
            f"participant again with --grid-shape {shape}"
        )
    if study.scaling_mask != frame.scaling_mask:
        found, wanted = (
            "with brain masks" if mask == "brain" else "without brain masks"
            for mask in (study.scaling_mask, frame.scaling_mask)
        )
        do = "--brain-mask none" if frame.scaling_mask == "head" else "a --brain-mask"
        faults.append(
            f"found scans {found}, expected scans {wanted}, as for the model's unit: run "
            f"participant again with {do}"
        )
    was = applied.model.get("preprocessing", {}).get("bias_correction")
    others = bias_corrections(study.scans) - {was}
    if was is not None and others:
        faults.append(
            f"found images with --bias-correction {' or '.join(sorted(others))}, expected {was}: "
            f"run participant again with --bias-correction {was}"
        )
    if faults:
        head = f"{study.output_dir}: the scans do not fit the model {applied.folder}"
        raise UnusableDataError("\n".join([f"{head}:", *(f"  {fault}" for fault in faults)]))


def served_scans(sites: Mapping[str, str], applied: AppliedModel) -> Served:
    """Which scans the model can harmonize.

    Parameters
    ----------
    sites
        Name of every scan to its site, ``n/a`` where unknown.
    applied
        The model.

    Returns
    -------
    Served
        All of them are in it.
    """
    frame = applied.harmonizer.frame
    foreign = {stem: site for stem, site in sites.items() if site not in frame.sites}
    served = frozenset(stem for stem, site in sites.items() if frame.serves(site))
    unseen = {stem: site for stem, site in foreign.items() if stem in served}
    left_out = {stem: site for stem, site in foreign.items() if stem not in served}
    return Served(served, unseen, left_out)


def check_served(served: Served, applied: AppliedModel) -> None:
    """Refuse scans of which the model can harmonize none.

    Raises
    ------
    SiteError
        Lists the scans and the model's sites.
    """
    if not served.stems:
        sites = ", ".join(applied.harmonizer.frame.sites)
        message = (
            f"{applied.folder}: this model knows the sites {sites}, and no scan is of any of "
            f"them: {_listed(served.left_out)}; name their sites with --site-map, or train a "
            "harmonizer with scans of these sites"
        )
        raise SiteError(message)


def left_out_words(served: Served) -> str:
    """How many scans are of unseen sites or left out, for the summary line; empty for none."""
    counts = {"of unseen sites": served.unseen, "left out for their site": served.left_out}
    return "".join(f", {len(scans)} {words}" for words, scans in counts.items() if scans)


def served_words(served: Served, applied: AppliedModel) -> list[str]:
    """Warnings about scans that are left out, or of unseen sites."""
    words = []
    known = ", ".join(applied.harmonizer.frame.sites)
    if served.left_out:
        words.append(
            f"not harmonized, since the model knows the sites {known} only: "
            f"{_listed(served.left_out)}"
        )
    if served.unseen:
        words.append(
            f"harmonized though their site is none of the model's ({known}), and flagged "
            f"unseen_site: {_listed(served.unseen)}"
        )
    return words


def _listed(sites: Mapping[str, str]) -> str:
    shown = [
        f"{stem} ({'site unknown' if site == MISSING else site})"
        for stem, site in sorted(sites.items())
    ]
    more = f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
