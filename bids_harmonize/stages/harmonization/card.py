"""``--export-card``: the reference site's card, from the scans that may be trained on."""

from pathlib import Path
from typing import Final

from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.names import card_folder
from bids_harmonize.config import settings_hash
from bids_harmonize.harmonizers.card import CARD_VERSION, NOT_STATED, save_card
from bids_harmonize.harmonizers.card_making import make_card
from bids_harmonize.harmonizers.card_text import card_readme
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.harmonization.card_reference import bias_correction_of
from bids_harmonize.stages.inputs import generator_resolution_mm, scan_files
from bids_harmonize.training.checkpoint import MODEL_NAME, WEIGHTS_NAME, load_weights
from bids_harmonize.training.splits import check_no_leak
from bids_harmonize.training.volumes import DiskVolumes, map_volumes

NAME: Final = "export-card"


def export_card(context: StageContext) -> StageResult:
    """Write ``models/card_<Site>/`` for the reference site.

    Parameters
    ----------
    context
        The study, the settings and the place to work in.

    Returns
    -------
    StageResult
        The card's three files; a warning where somebody well informed can tell who is behind it.

    Raises
    ------
    UnusableDataError
        If there are fewer than ten people.
    LeakError
        If somebody who must stay unseen is among them.
    """
    study, settings = context.study, context.settings
    site = study.reference_site
    scans = [scan for scan in study.training_scans if scan.site == site]
    unseen = study.travelling | study.held_back
    check_no_leak((scan.participant_id for scan in scans), held_out=unseen)
    native = DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask)
    resolution_mm = generator_resolution_mm(study, settings, context.runtime)
    volumes = map_volumes(native, resolution_mm=resolution_mm, folder=context.work_dir)
    histograms, described = make_card(
        volumes,
        range(len(volumes)),
        noise=settings.group.card_noise,
        seed=settings.run.random_seed,
        device=context.runtime.device,
    )
    folder = card_folder(study.output_dir, site)
    model = {
        "reference_site": site,
        "licence": settings.group.card_licence,
        "people": study.people_words,
        "scaling_mask": study.scaling_mask,
        "study_voxel_size_mm": study.voxel_size_mm,
        "bias_correction": bias_correction_of(study),
        "settings_hash": settings_hash(CARD_VERSION, site, settings.group.card_noise),
        "run_id": context.run_id,
        **described,
    }
    save_card(folder, histograms, model)
    _, written = load_weights(folder)
    n_bytes = sum((folder / name).stat().st_size for name in (WEIGHTS_NAME, MODEL_NAME))
    write_text(folder / "README.md", card_readme(written, n_bytes=n_bytes))
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    told = described["membership"]
    notes = (
        f"card of {site} from {described['n_people']} people, {n_bytes / 1000:.1f} kB: {folder}",
        f"leaving one person out changes a cell by {described['leave_one_out']['mean']:.1%} of "
        f"the difference between people on average, {described['leave_one_out']['largest']:.1%} "
        f"at most; membership AUC {told['auc']:.2f}, informed {told['auc_informed']:.2f}",
    )
    return StageResult(NAME, files=files, warnings=_warnings(context, folder), notes=notes)


def _warnings(context: StageContext, folder: Path) -> tuple[str, ...]:
    if context.settings.group.card_licence != NOT_STATED:
        return ()
    return (
        f"{folder} states no licence; others cannot know what they may do with it. Say it by "
        "--card-licence",
    )
