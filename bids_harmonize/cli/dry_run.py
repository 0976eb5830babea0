"""``--dry-run``: what would be read and written, as text; nothing is touched."""

from collections.abc import Sequence
from pathlib import Path

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import card_folder, group_output, participant_keys, scan_output
from bids_harmonize.bids.study import Study
from bids_harmonize.cli.feature_group import load_feature_studies, plan_feature_stages
from bids_harmonize.cli.group import load_any_study, plan_image_stages
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.participant_harmonize import expected_images
from bids_harmonize.cli.request import Request
from bids_harmonize.cli.scans import find_scans
from bids_harmonize.config import Settings

_APPLIED = ("group_siteclassification", "group_sitepredictions", "group_siterecall")
_FEATURES = (*_APPLIED, "group_sitecalibration")
_TABLES = {
    "classify": (
        *(*_FEATURES, "group_sitevisibility", "group_siteconfounding", "group_siteverdict"),
        *("group_saliency", "group_saliencyregions", "group_saliencydeletion"),
        "group_saliencychecks",
    ),
    "features": ("group_features",),
    "evaluate": (
        *("group_travelling", "group_methods", "group_reidentification"),
        *("group_lesions", "group_siteprobe"),
        *("group_reliability", "group_biology", "group_verdict"),
    ),
    "disorder": (
        *("group_casecontrol", "group_meta", "group_siteeffects", "group_normative"),
        *("group_deviations", "group_classification", "group_casescores"),
    ),
    "subtypes": ("group_subtypes", "group_subtypevalidity"),
}


def describe_run(request: Request, tally: Tally) -> str:
    """The scans with site and source, and the outputs to come, one a line.

    Parameters
    ----------
    request
        What the user wants.
    tally
        What cannot be done is added to its failures.

    Returns
    -------
    str
        Tab-separated lines under headings.

    Raises
    ------
    HarmonizeError
        As the real run would before it works.
    """
    lines: list[str] = []
    if "participant" in request.levels:
        lines += _participant_lines(find_scans(request, tally), request)
    if request.settings.group.features:
        lines += _feature_lines(request)
    elif request.levels == ("group",):
        lines += _group_lines(load_any_study(request), request)
    elif "group" in request.levels:
        stages = request.settings.group.stages or ("all that the data allow",)
        lines.append(f"then the group level on all of {request.output_dir}: {', '.join(stages)}")
    return "\n".join([*lines, ""])


def _participant_lines(scans: Sequence[Scan], request: Request) -> list[str]:
    lines = ["scan\tsite\tread in\tbrain mask"]
    outputs = []
    for scan in scans:
        brain = scan.given_mask.path if scan.given_mask else None
        told = brain or request.settings.preprocessing.brain_mask
        lines.append(f"{scan.path}\t{scan.site or 'n/a'}\t{scan.site_source or 'n/a'}\t{told}")
        outputs += [
            str(scan_output(request.output_dir, scan, key))
            for key in _wanted_outputs(scan, request.settings)
        ]
    outputs += map(str, expected_images(request, scans))
    return [*lines, "", "outputs to come", *outputs, ""]


def _wanted_outputs(scan: Scan, settings: Settings) -> tuple[str, ...]:
    wanted = settings.preprocessing
    return participant_keys(
        bias=wanted.bias_correction != "none",
        brain=scan.given_mask is not None or wanted.brain_mask != "none",
        tissue=wanted.tissue,
    )


def _group_lines(study: Study, request: Request) -> list[str]:
    stages = plan_image_stages(request, study)
    lines = ["scan\tsite\tread in\trole"]
    lines += [
        f"{scan.t1w}\t{scan.site}\t{scan.site_source}\t{_role(study, scan)}"
        for scan in study.scans
    ]
    reference = study.reference_site or "none, nothing is trained"
    lines += ["", f"reference site: {reference}", f"stages: {', '.join(stages)}"]
    lines += [study.fit_words] if study.fit_words else []
    group = request.settings.group
    outputs = _group_outputs(
        study, stages, joint=group.sources == "joint", exports_card=group.export_card
    )
    return [*lines, "", "outputs to come", *map(str, outputs), ""]


def _feature_lines(request: Request) -> list[str]:
    studies = load_feature_studies(request)
    stages = plan_feature_stages(request, studies)
    lines = ["arm\ttable\trows\tfeatures\ttrained sites\ttravelling subjects"]
    for study in studies:
        size = f"{len(study.rows)}\t{study.features.shape[1]}"
        trained = f"{', '.join(study.trained_sites)}\t{len(study.travelling)}"
        lines.append(f"{study.source.arm}\t{study.source.path}\t{size}\t{trained}")
    lines += ["", f"stages: {', '.join(stages)}", "", "outputs to come"]
    tables = {**_TABLES, "classify": _FEATURES}
    outputs = [group_output(request.output_dir, key) for stage in stages for key in tables[stage]]
    return [*lines, *map(str, outputs), ""]


def _role(study: Study, scan: DerivedScan) -> str:
    if study.outside_reference and scan.site == study.reference_site:
        return "of the card's site, only scaled"
    if study.trained_sites and scan.site not in study.trained_sites:
        return "left out"
    if not scan.usable:
        return "doubtful"
    if not study.trained_sites:
        return "asked about"
    if scan.participant_id in study.held_back:
        return "no control, held back"
    return "travelling" if scan.participant_id in study.travelling else "training"


def _group_outputs(
    study: Study, stages: tuple[str, ...], *, joint: bool, exports_card: bool
) -> list[Path]:
    paths = [group_output(study.output_dir, "group_quality")]
    if exports_card:
        paths.append(card_folder(study.output_dir, study.reference_site))
    for scan in study.harmonized_scans(joint=joint):
        if "classify" in stages and scan in study.trained_scans:
            paths.append(scan_output(study.output_dir, scan, "site_saliency"))
        if "harmonize" in stages:
            paths.append(
                scan_output(study.output_dir, scan, "harmonized", reference=study.reference_site)
            )
    for stage in stages:
        keys = _TABLES.get(stage, ()) if study.trained_sites else _APPLIED
        paths += [group_output(study.output_dir, key) for key in keys]
    return paths
