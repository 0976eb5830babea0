"""The group level on tables of features: no image is opened, and none is needed."""

import logging
import os
from collections.abc import Sequence

from bids_harmonize.bids.table_dataset import prepare_table_output
from bids_harmonize.cli.environment import find_container
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.request import Request
from bids_harmonize.cli.stage_plan import plan_stages, tally_stage
from bids_harmonize.stages import (
    OF_GROUPS,
    STAGES,
    FeatureContext,
    can_use_features,
    run_stage,
)
from bids_harmonize.stages.case_control.checks import check_tables, why_not
from bids_harmonize.stages.feature_table.study import (
    FeatureStudy,
    feature_sources,
    load_feature_study,
)

LOGGER = logging.getLogger(__name__)


def run_on_features(request: Request, *, run_id: str, tally: Tally) -> None:
    """Run the stages that can do without images.

    Parameters
    ----------
    request
        Names the tables.
    run_id
        Name of this run.
    tally
        What was done and what failed is added to it.

    Raises
    ------
    HarmonizeError
        If a table cannot be used, or a stage that was asked for by name needs images.
    """
    studies = load_feature_studies(request)
    stages = plan_feature_stages(request, studies)
    for study in studies:
        _log_study(study)
    prepare_table_output(request.output_dir, container=find_container(os.environ))
    context = FeatureContext(
        output_dir=request.output_dir,
        studies=studies,
        settings=request.settings,
        run_id=run_id,
    )
    for stage in stages:
        LOGGER.info("stage %s: %s", stage, STAGES[stage].description)
        tally_stage(run_stage(stage, context), tally)


def plan_feature_stages(request: Request, studies: Sequence[FeatureStudy]) -> tuple[str, ...]:
    """The stages that will run on these tables; raises as ``plan_stages`` and ``why_not``."""

    def reason_of(name: str) -> str | None:
        reason = can_use_features(name, request.settings)
        if reason is not None or name not in OF_GROUPS:
            return reason
        return why_not(lambda: check_tables(studies, request.settings), request.settings)

    return plan_stages(request, reason_of)


def load_feature_studies(request: Request) -> tuple[FeatureStudy, ...]:
    """One study a path of ``--features``, in the order given; raises as its loading does."""
    return tuple(
        load_feature_study(
            source,
            output_dir=request.output_dir,
            settings=request.settings,
            site_map=request.site_map,
        )
        for source in feature_sources(request.settings)
    )


def _log_study(study: FeatureStudy) -> None:
    arm = study.source.arm
    LOGGER.info("%s: %s", arm, study.source.words)
    for note in study.source.notes:
        LOGGER.warning("%s: %s", arm, note)
    for path in study.people:
        LOGGER.info("%s: people as in %s", arm, path)
    names = list(study.features.columns)
    LOGGER.info("%s: %d features, %s to %s", arm, len(names), names[0], names[-1])
    counts = list(study.site_of_participant().values())
    for site in study.trained_sites:
        LOGGER.info("%s: site %s: participants to train on: %d", arm, site, counts.count(site))
    for site, reason in study.left_out.items():
        LOGGER.warning("%s: site %s takes no part: %s", arm, site, reason)
    LOGGER.info("%s: travelling subjects, never trained on: %d", arm, len(study.travelling))
