"""The group level: the stages in their order, on what the participant level wrote."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bids_harmonize.bids.control_group import group_candidates
from bids_harmonize.bids.dataset import write_descriptions
from bids_harmonize.bids.group_quality import write_group_quality
from bids_harmonize.bids.harmonized import record_harmonized
from bids_harmonize.bids.judged import read_all_judged
from bids_harmonize.bids.lock import group_lock
from bids_harmonize.bids.scans import group_by_settings, read_scan_rows
from bids_harmonize.bids.study import Study, load_study
from bids_harmonize.cli.environment import find_job
from bids_harmonize.cli.feature_group import run_on_features
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.request import Request
from bids_harmonize.cli.stage_plan import plan_stages, tally_stage
from bids_harmonize.errors import BusyError, HarmonizeError
from bids_harmonize.stages import (
    DISORDER,
    FEATURES,
    HARMONIZE,
    OF_GROUPS,
    STAGES,
    StageContext,
    can_apply,
    can_run,
    has_features,
    left_out_by_default,
    run_stage,
)
from bids_harmonize.tables.features import GROUP_COLUMNS

if TYPE_CHECKING:
    from bids_harmonize.cli.participant import Run

LOGGER = logging.getLogger(__name__)

_N_WORDS = 6


def run_group_level(request: Request, run: "Run") -> None:
    """Run the stages and write the group's page.

    Parameters
    ----------
    request
        What the user wants.
    run
        Its tally is added to.

    Raises
    ------
    HarmonizeError
        If the study cannot be used, or a stage that was asked for by name cannot run.
    """
    with group_lock(request.output_dir, find_job(os.environ)):
        if request.settings.group.features:
            run_on_features(request, run_id=run.run_id, tally=run.tally)
            rewrite_group_page(request, run.tally)
            return
        study = _load_study(request)
        _log_study(study)
        _warn_of_mixed_settings(request.output_dir)
        stages = plan_image_stages(request, study)
        context = _make_context(request, study, run)
        if request.settings.group.export_card:
            from bids_harmonize.stages.harmonization.card import export_card

            tally_stage(export_card(context), run.tally)
        for stage in stages:
            LOGGER.info("stage %s: %s", stage, STAGES[stage].description)
            tally_stage(run_stage(stage, context), run.tally)
        write_descriptions(request.output_dir)
        if HARMONIZE in stages:
            _record_harmonized(request, study, run)
        rewrite_group_page(request, run.tally)


def _record_harmonized(request: Request, study: Study, run: "Run") -> None:
    """Name the harmonized images in ``scans.tsv`` and in the dataset's descriptions."""
    try:
        record_harmonized(request.output_dir, [scan.stem for scan in study.scans], run.claims)
    except BusyError as error:  # the images are there; the next run writes the rows
        LOGGER.warning("the tables do not name all harmonized images yet: %s", error)
        run.tally.busy.append("scans.tsv")


def load_any_study(request: Request) -> Study:
    """The study: one to train on, or with ``--model-dir`` one to apply a model to.

    Raises
    ------
    HarmonizeError
        If it cannot be used.
    """
    settings = request.settings
    if settings.group.reference_card:
        from bids_harmonize.stages.harmonization.card_reference import check_reference_cards

        check_reference_cards(settings)
    study = load_study(
        request.output_dir,
        settings=settings,
        site_map=request.site_map,
        trains=settings.group.model_dir is None,
    )
    if settings.group.reference_card:
        from bids_harmonize.stages.harmonization.card_reference import load_reference_card

        load_reference_card(study, settings)  # before hours of work that it would make useless
    if settings.group.judge:
        read_all_judged(settings.group.judge, study.scans)
    return study


def plan_image_stages(request: Request, study: Study) -> tuple[str, ...]:
    """The stages that will run on the images of this study; raises as ``plan_stages``."""
    group = request.settings.group
    if group.export_card and group.stages is None:
        return ()  # a card is asked for, and nothing else
    if group.model_dir is not None:
        return plan_stages(request, lambda name: _why_not_applied(name, request, study))

    def reason_of(name: str) -> str | None:
        by_default = left_out_by_default(name, study) if group.stages is None else None
        reason = can_run(name, study) or by_default
        return reason if name not in OF_GROUPS or reason else reason_against_groups()

    def reason_against_groups() -> str | None:
        asks = FEATURES in (group.stages or (FEATURES,)) and reason_of(FEATURES) is None
        if not (asks or has_features(study)):
            return f"it needs group_features.tsv, which {FEATURES} writes"
        from bids_harmonize.stages.case_control.checks import check_images, why_not

        return why_not(lambda: check_images(study, request.settings), request.settings)

    return plan_stages(request, reason_of)


def _why_not_applied(name: str, request: Request, study: Study) -> str | None:
    """The reason why a stage cannot apply a model to this study, or ``None`` if it can."""
    reason = can_apply(name, request.settings)
    if reason or name != DISORDER or has_features(study):
        return reason
    return f"it needs group_features.tsv, which {FEATURES} writes (without --model-dir)"


def cite_group(request: Request) -> Path:
    """Write what the group level did to ``logs/CITATION.md``, once claimed; its path."""
    from bids_harmonize.report.group_citation import cite_group_level

    return cite_group_level(request.output_dir, site_map=request.site_map)


def rewrite_group_page(request: Request, tally: Tally) -> None:
    """Write the group's page from the derivative alone."""
    from bids_harmonize.report.group import write_group_page

    page = write_group_page(request.output_dir, site_map=request.site_map)
    tally.done.append(f"page {page} written")


def _load_study(request: Request) -> Study:
    """The study, once the quality of its scans is written; it is written without a study too."""
    output_dir = request.output_dir
    try:
        study = load_any_study(request)
    except HarmonizeError:
        write_group_quality(output_dir)
        raise
    sites = {scan.stem: (scan.site, scan.site_source) for scan in study.scans}
    write_group_quality(output_dir, sites=sites)
    return study


def _make_context(request: Request, study: Study, run: "Run") -> StageContext:
    from bids_harmonize.training.runtime import make_runtime

    return StageContext(
        study=study,
        settings=request.settings,
        work_dir=run.work_dir,
        run_id=run.run_id,
        runtime=make_runtime(request.settings.resources, run.crew),
    )


def _log_study(study: Study) -> None:
    if not study.trained_sites:
        names = sorted({scan.site for scan in study.scans})
        LOGGER.info("nothing is trained; scans: %d, sites: %s", len(study.scans), ", ".join(names))
        return
    for site in study.trained_sites:
        scans = study.of_site(site, participants=study.trainees)
        n_people = len({scan.participant_id for scan in scans if scan.usable})
        mark = " (reference)" if site == study.reference_site else ""
        LOGGER.info("site %s%s: participants to train on: %d", site, mark, n_people)
    _log_groups(study)
    for site, reason in study.left_out.items():
        stems = ", ".join(scan.stem for scan in study.of_site(site))
        LOGGER.warning("site %s is not trained on: %s; scans: %s", site, reason, stems)
    doubtful = [scan.stem for scan in study.trained_scans if not scan.usable]
    if doubtful:
        LOGGER.warning(
            "neither trained on nor scored, head or brain mask doubtful: %s", ", ".join(doubtful)
        )
    if study.virtual_reference:
        LOGGER.info("reference: the median of all trained sites, where nobody was scanned")
    elif study.outside_reference:
        n_own = len(study.of_site(study.reference_site))
        words = "site %s (reference, by its card): own scans in this study, only scaled: %d"
        LOGGER.info(words, study.reference_site, n_own)
    LOGGER.info("travelling subjects, never trained on: %d", len(study.travelling))


def _log_groups(study: Study) -> None:
    """On whom models are fitted, or which column could decide that."""
    if study.control_group is not None:
        LOGGER.info("%s", study.control_group.words)
        level = logging.WARNING if study.fitted_on_everybody else logging.INFO
        LOGGER.log(level, "%s", study.fit_words)
        return
    for name, words in group_candidates(study.participants, GROUP_COLUMNS).items():
        LOGGER.info(
            "participants.tsv has a column %s (%s): with --group-column %s models would be fitted "
            "on its controls alone; now they are fitted on everybody eligible",
            *(name, ", ".join(words[:_N_WORDS]), name),
        )


def _warn_of_mixed_settings(output_dir: Path) -> None:
    """Name the scans whose settings, or version, are not those of most."""
    most, *others = group_by_settings(read_scan_rows(output_dir)).items()
    for settings_hash, stems in others:
        LOGGER.warning(
            "%d scan(s) were processed with other settings, or by another version (settings_hash "
            "%s), than most (%s); run participant again with one set for all: %s",
            len(stems),
            settings_hash,
            most[0],
            ", ".join(stems),
        )
