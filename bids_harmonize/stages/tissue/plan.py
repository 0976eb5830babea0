"""Which scans are measured, in which arms, and by the model of which fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.judged import JudgedImages
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import read_json, sidecar_path
from bids_harmonize.config import settings_hash
from bids_harmonize.errors import MissingInputError, ScanError
from bids_harmonize.harmonizers.base import JOINT
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.saliency_sample import sample_scans
from bids_harmonize.stages.harmonization.fitted import (
    delivered_folder,
    half_folders,
    people_of_half,
)
from bids_harmonize.stages.harmonization.halves import study_halves
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker, is_current
from bids_harmonize.stages.tissue.density import VERSION as DENSITY_VERSION
from bids_harmonize.stages.tissue.parcels import study_parcels
from bids_harmonize.stages.tissue.scan import TissueJob, TissueMaps
from bids_harmonize.tables.own import HARMONIZED, RAW
from bids_harmonize.training.runtime import seeded_generator

DELIVERED: Final = "delivered"

QUICK_PER_SITE: Final = 8
QUICK_TRAVELLING: Final = 4

_VERSION = 2  # raise when the numbers change, so that old ones are not reused


@dataclass(frozen=True)
class Choice:
    """The scans that are measured; ``left_out`` gives the reason for a stem.

    ``sample`` says in words who was drawn; it is empty where everybody is asked.
    """

    scans: tuple[DerivedScan, ...]
    left_out: Mapping[str, str]
    sample: str


def choose_scans(context: StageContext) -> Choice:
    """Scans of all sites that are harmonized, doubtful ones apart.

    Parameters
    ----------
    context
        The study; with ``--effort quick`` a few scans of each site are drawn, and a few
        travelling subjects with all of their scans.

    Returns
    -------
    Choice
        Sorted by stem.
    """
    study = context.study
    harmonized = study.harmonized_scans(joint=context.settings.group.sources == JOINT)
    doubtful = {scan.stem: "head or brain mask doubtful" for scan in harmonized if not scan.usable}
    scans = tuple(scan for scan in harmonized if scan.usable)
    if context.settings.group.effort == "full":
        return Choice(scans, doubtful, "")
    people = sorted(study.travelling)
    rng = seeded_generator(context.settings.run.random_seed, "features", "travelling")
    drawn = {people[place] for place in rng.permutation(len(people))[:QUICK_TRAVELLING]}
    stems = sample_scans(context, QUICK_PER_SITE, study.eligible)
    chosen = tuple(
        scan
        for scan in scans
        if (scan.participant_id in drawn if scan.participant_id in study.travelling
            else scan.stem in stems or scan.site not in study.trained_sites)
    )  # fmt: skip
    words = (
        f"--effort quick: of each trained site {QUICK_PER_SITE} scans of people who do not "
        f"travel, and {QUICK_TRAVELLING} travelling subjects with all of their scans, drawn with "
        f"the seed {context.settings.run.random_seed}; {len(chosen)} of {len(scans)} scans"
    )
    return Choice(chosen, doubtful, words)


@dataclass(frozen=True)
class FittedModels:
    """The chosen harmonizer's models as the features need them.

    Attributes
    ----------
    maker
        What made the delivered images.
    halves
        Name of the fit, its folder, and the people of its half; empty without half models.
    why_none
        Why there are no half models.
    """

    maker: ImageMaker
    halves: tuple[tuple[str, Path, frozenset[str]], ...]
    why_none: str

    def unseen_half(self, scan: DerivedScan) -> tuple[str, Path] | None:
        """Name and folder of the half model that has not seen this person, who is in the other.

        ``None`` for somebody who stands in no half.
        """
        seen = [scan.participant_id in people for _, _, people in self.halves]
        if sum(seen) != 1:
            return None
        name, folder, _ = self.halves[seen.index(False)]
        return name, folder


def load_models(context: StageContext) -> FittedModels:
    """The models that the stage ``harmonize`` fitted.

    Parameters
    ----------
    context
        The study, whose ``models/`` is read.

    Returns
    -------
    FittedModels
        With the reason where a half has too few people of a site.

    Raises
    ------
    MissingInputError
        If the stage harmonize has not run, or has not fitted the half models.
    """
    folder = delivered_folder(context)
    maker = ImageMaker(
        output_dir=context.study.output_dir,
        harmonizer=load_harmonizer(folder),
        folder_name=folder.name,
        model=read_json(folder / "model.json"),
        run_id=None,
    )
    halves, reason = study_halves(context.study, context.settings)
    if halves is None:
        return FittedModels(maker, (), reason or "no half models were fitted")
    folders = half_folders(context)
    if folders is None:
        message = (
            f"{folder}: the models of both halves are not there; run the stage harmonize with "
            "--stages harmonize features first, so that it fits them"
        )
        raise MissingInputError(message)
    named = tuple((half.name, half, people_of_half(half)) for half in folders)
    return FittedModels(maker, named, "")


def plan_raw(context: StageContext, scan: DerivedScan) -> TissueJob:
    """The raw arm: the maps of the participant level, or where they are absent its image.

    Raises
    ------
    ScanError
        If a file cannot be read.
    """
    output_dir = context.study.output_dir
    maps = TissueMaps(
        csf=scan_output(output_dir, scan, "csf"),
        gm=scan_output(output_dir, scan, "gm"),
        wm=scan_output(output_dir, scan, "wm"),
        transform=scan_output(output_dir, scan, "xfm_preproc_to_template"),
    )
    if not all(path.is_file() for path in maps.files):
        return _job(context, scan, arm=RAW, image=scan.t1w)
    return _job(context, scan, arm=RAW, image=scan.t1w, maps=maps)


def plan_harmonized(
    context: StageContext, scan: DerivedScan, models: FittedModels
) -> TissueJob | None:
    """The harmonized arm: cross-fitted for the people of the halves, else as delivered.

    Parameters
    ----------
    context
        The study and the work directory.
    scan
        A usable scan of a site that is harmonized.
    models
        From :func:`load_models`.

    Returns
    -------
    TissueJob or None
        ``None`` where the person could only be harmonized by a model that has seen the person.

    Raises
    ------
    ScanError
        If the delivered image is absent or made from something else, or a person who should
        stand in a half does not.
    """
    study = context.study
    if scan.participant_id in study.eligible and scan.site in study.trained_sites:
        if not models.halves:
            return None
        half = models.unseen_half(scan)
        if half is None:
            message = (
                f"{scan.stem}: {scan.participant_id} does not stand in exactly one half; run "
                "the stage harmonize again"
            )
            raise ScanError(message)
        fit, folder = half
        return _job(context, scan, arm=HARMONIZED, image=scan.t1w, fit=fit, model=folder)
    if not is_current(models.maker, scan, sha256=file_sha256(scan.t1w)):
        message = (
            f"{scan.stem}: its harmonized image is absent, or made by another model or from "
            "another image; run the stage harmonize again"
        )
        raise ScanError(message)
    image = models.maker.image(scan)
    return _job(context, scan, arm=HARMONIZED, image=image, fit=DELIVERED)


def plan_judged(
    context: StageContext, scan: DerivedScan, judged: JudgedImages
) -> TissueJob | None:
    """The arm of another tool: its image, on whatever grid.

    Parameters
    ----------
    context
        The study and the work directory.
    scan
        A usable scan.
    judged
        The tool's images.

    Returns
    -------
    TissueJob or None
        A scan of the reference site that the tool left alone is taken as it is; ``None`` where
        any other has no image.

    Raises
    ------
    ScanError
        If a file cannot be read.
    """
    image = judged.images.get(scan.stem)
    if image is None and scan.site == context.study.reference_site:
        image = scan.t1w
    return None if image is None else _job(context, scan, arm=judged.method, image=image)


def _job(
    context: StageContext,
    scan: DerivedScan,
    *,
    arm: str,
    image: Path,
    fit: str | None = None,
    maps: TissueMaps | None = None,
    model: Path | None = None,
) -> TissueJob:
    sha256 = ""
    if model is not None:
        found = read_json(model / "model.json")
        sha256 = f"{found['sha256']} {found['fingerprint']}"
    own = sidecar_path(scan.t1w)
    facts = read_json(own) if own.is_file() else {}
    files = maps.files if maps is not None else (image, scan.head_mask)
    masks = () if scan.brain_mask is None else (scan.brain_mask,)
    atlas = context.settings.group.atlas
    return TissueJob(
        scan=scan,
        arm=arm,
        fit=fit,
        maps=maps,
        image=image,
        model=model,
        model_sha256=sha256,
        row_file=context.work_dir / "features" / f"{scan.stem}_{arm.replace(':', '-')}.json",
        fingerprint=settings_hash(
            (_VERSION, DENSITY_VERSION),
            [arm, fit, scan.site, sha256, maps is not None],
            [facts.get("SkullStripped"), facts.get("TissueDoubtful")],
            [file_sha256(path) for path in (*files, *masks)],
            study_parcels(atlas).sha256,
        ),
        atlas=atlas,
    )
