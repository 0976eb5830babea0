"""Stage ``harmonize``: fit the chosen harmonizer and its rivals, and write its images."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from bids_harmonize.bids.harmonized import harmonized_sidecars
from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.harmonizers.base import JOINT
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.harmonization.card_reference import card_warnings
from bids_harmonize.stages.harmonization.files import NEW, remove_old_halves, swap
from bids_harmonize.stages.harmonization.halves import study_halves
from bids_harmonize.stages.harmonization.image_jobs import Stored
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker
from bids_harmonize.stages.harmonization.images import (
    Written,
    check_present_images,
    place_images,
)
from bids_harmonize.stages.harmonization.methods import names_to_fit
from bids_harmonize.stages.harmonization.models import Fitted, TrainingSet, load_training_set
from bids_harmonize.stages.harmonization.shared_images import share_images
from bids_harmonize.stages.harmonization.unseen import far_scans
from bids_harmonize.training.checkpoint import load_weights


def run(context: StageContext) -> StageResult:
    """Fit all harmonizers of the study and write the images of the chosen one.

    Models and images wait in a folder of the output directory until all of them are done, and
    then take their places in one go: an interrupted run leaves the former result whole.

    Parameters
    ----------
    context
        The study, the settings and the place to work in.

    Returns
    -------
    StageResult
        Models and images; a failure for every pair of sites whose training diverged twice and
        every scan that could not be harmonized.

    Raises
    ------
    UsageError
        If images of another harmonizer or reference are there, or a setting cannot be used.
    LeakError
        If a travelling subject stands among the scans to train on.
    """
    study, settings = context.study, context.settings
    wanted = (settings.group.harmonizer, study.reference_site)
    check_present_images(
        study.output_dir,
        harmonized_sidecars(study.output_dir),
        wanted=wanted,
        overwrite=settings.group.overwrite_harmonized,
    )
    new = study.output_dir / NEW
    shutil.rmtree(new, ignore_errors=True)
    data = load_training_set(context)
    delivered = {
        name: data.fit(name, study.eligible, part=None, new=new) for name in names_to_fit(settings)
    }
    halves, why_none = _fit_halves(context, data, new=new)
    chosen = delivered[settings.group.harmonizer]
    written = _write_images(context, chosen, new=new)
    fitted = [*delivered.values(), *halves]
    images = place_images(written, new=new, output_dir=study.output_dir)
    models = swap(new, study.output_dir, [one.folder for one in fitted if not one.reused])
    if not chosen.reused and not halves:
        remove_old_halves(harmonizer_folder(study.output_dir, *wanted))
    kept = [path for one in fitted if one.reused for path in sorted(one.folder.glob("*.*"))]
    warnings = [warning for one in fitted for warning in one.report.warnings]
    if data.card:
        warnings += card_warnings(context, data.card)
    return StageResult(
        "harmonize",
        files=(*images, *models, *kept),
        warnings=(
            *warnings,
            *([why_none] if why_none else []),
            *far_scans(chosen.harmonizer, written.distances),
        ),
        failures=(*_diverged(delivered), *written.failures),
        notes=(
            *_notes(context, delivered, written, n_images=len(images) // 2),
            *_card_notes(data),
        ),
    )


def _write_images(context: StageContext, chosen: Fitted, *, new: Path) -> Written:
    """The images of the chosen harmonizer, waiting in ``new``."""
    _, model = load_weights(chosen.folder)
    maker = ImageMaker(
        output_dir=context.study.output_dir,
        harmonizer=chosen.harmonizer,
        folder_name=chosen.folder.name,
        model=model,
        run_id=context.run_id,
    )
    # A joint model serves the sites that were left out of its training too.
    serves_unseen = chosen.harmonizer.frame.serves_unseen
    return share_images(
        maker,
        context.study.harmonized_scans(joint=serves_unseen),
        stored=Stored(chosen.folder, context.settings.resources),
        new=new,
        resume=context.settings.run.resume,
        runtime=context.runtime,
    )


def _diverged(delivered: Mapping[str, Fitted]) -> list[str]:
    """A sentence for every pair of sites that the fallback serves."""
    return [
        f"{name}: the scans of {site} were served by {one.harmonizer.method(site)}, for its "
        "training diverged twice"
        for name, one in delivered.items()
        for site in one.report.fell_back
    ]


def _fit_halves(
    context: StageContext, data: TrainingSet, *, new: Path
) -> tuple[list[Fitted], str | None]:
    """The chosen harmonizer fitted on each half of the participants, where halves are wanted."""
    halves, reason = study_halves(context.study, context.settings)
    name = context.settings.group.harmonizer
    fitted = [
        data.fit(name, half, part=f"half-{number}", new=new)
        for number, half in enumerate(halves or (), start=1)
    ]
    return fitted, reason


def _card_notes(data: TrainingSet) -> list[str]:
    if data.card is None:
        return []
    return [
        f"the reference {card['site']} is its card {card['sha256'][:12]}, from "
        f"{card['n_people']} people; none of its images was used"
        for card in data.card.sources
    ]


def _notes(
    context: StageContext,
    delivered: Mapping[str, Fitted],
    written: Written,
    *,
    n_images: int,
) -> tuple[str, ...]:
    study = context.study
    serves_unseen = context.settings.group.sources == JOINT
    n_sites = len(study.trained_sites) + (len(study.left_out) if serves_unseen else 0)
    reused = [name for name, one in delivered.items() if one.reused]
    refitted = [name for name, one in delivered.items() if not one.reused]
    notes = [
        *([study.fit_words] if study.held_back else []),
        f"{n_images} images of {n_sites} sites were brought to "
        f"{study.reference_site} by {context.settings.group.harmonizer}",
    ]
    if reused:
        notes.append(f"unchanged, so reused: {', '.join(reused)}")
    if refitted:
        notes.append(f"fitted: {', '.join(refitted)}")
    for site, reason in sorted(study.left_out.items()):
        stems = [scan.stem for scan in study.of_site(site)]
        if serves_unseen:
            made = [
                f"{stem} {written.distances[stem]:.2f}"
                for stem in stems
                if stem in written.distances
            ]
            notes.append(
                f"harmonized though not trained on, site {site}: {reason}; distances from the "
                f"training sites: {', '.join(made)}"
            )
        else:
            notes.append(f"not harmonized, site {site}: {reason}: {', '.join(stems)}")
    return tuple(notes)
