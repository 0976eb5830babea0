"""Group level: one module is one stage, and one row of :data:`STAGES`.

A stage reads only what the participant level or an earlier stage wrote to ``output_dir``, so any
stage runs again alone. The rows are "module:function" strings that are loaded on use: listing the
stages imports neither torch nor pandas.

A stage has up to three functions: it learns from the study's images; it applies a model of
another run to them (``--model-dir``); it learns from tables of features (``--features``).
"""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from bids_harmonize.errors import UsageError
from bids_harmonize.stages.records import FeatureContext, StageContext, StageResult, StageRow

if TYPE_CHECKING:
    from bids_harmonize.bids.study import Study
    from bids_harmonize.config import Settings

__all__ = [
    "CLASSIFY",
    "DISORDER",
    "FEATURES",
    "HARMONIZE",
    "OF_GROUPS",
    "STAGES",
    "SUBTYPES",
    "FeatureContext",
    "StageContext",
    "StageResult",
    "StageRow",
    "applies_harmonizer",
    "applies_models",
    "can_apply",
    "can_run",
    "can_use_features",
    "has_features",
    "left_out_by_default",
    "run_stage",
]


CLASSIFY, HARMONIZE = "classify", "harmonize"
"""The stages that can apply a model of another run to images; disorder applies a ComBat."""

FEATURES = "features"
"""The stage that segments images."""

DISORDER = "disorder"
"""The stage that compares cases with controls."""

SUBTYPES = "subtypes"
"""The stage that looks for kinds of cases."""

OF_GROUPS = (DISORDER, SUBTYPES)
"""Stages that need to be told who is a control."""

_NO_GROUP = "it needs --group-column, which tells controls from others"


STAGES: dict[str, StageRow] = {
    row.name: row
    for row in (
        StageRow(
            CLASSIFY,
            "bids_harmonize.stages.classify:run",
            "name the site of every scan, cross-validated, and show where the network looks",
            apply_target="bids_harmonize.stages.classification.apply:run",
            features_target="bids_harmonize.stages.feature_table.classify:run",
        ),
        StageRow(
            HARMONIZE,
            "bids_harmonize.stages.harmonize:run",
            "fit the harmonizer and the baselines, and write the harmonized images",
            apply_target="bids_harmonize.stages.harmonization.apply:run",
        ),
        StageRow(
            FEATURES,
            "bids_harmonize.stages.features:run",
            "measure tissue volumes of every scan, before and after harmonization",
        ),
        StageRow(
            "evaluate",
            "bids_harmonize.stages.evaluate:run",
            "measure what is gone and what is kept, on travelling subjects and by site probes",
        ),
        StageRow(
            DISORDER,
            "bids_harmonize.stages.disorder:run",
            "compare cases with controls, with the site dealt with four ways",
            apply_target="bids_harmonize.stages.disorder:run",
            features_target="bids_harmonize.stages.disorder:run_on_tables",
        ),
        StageRow(
            SUBTYPES,
            "bids_harmonize.stages.subtypes:run",
            "ask whether cases are of several kinds, with both nulls and a verdict",
            features_target="bids_harmonize.stages.subtypes:run_on_tables",
        ),
    )
}


def can_run(name: str, study: "Study") -> str | None:
    """The reason why a stage cannot run on this study, or ``None`` if it can.

    What an earlier stage has still to write is no reason: the stages of one run are checked
    before the first of them starts.

    Parameters
    ----------
    name
        A name of :data:`STAGES`.
    study
        What the participant level wrote.

    Returns
    -------
    str or None
        A sentence for the user.

    Raises
    ------
    UsageError
        If there is no such stage.
    """
    _row(name)
    if name in OF_GROUPS:
        return None if study.control_group else _NO_GROUP
    if name == FEATURES and study.scaling_mask != "brain":
        return f"{name} needs brain masks; the participant level made none (--brain-mask none)"
    n_sites = len(study.trained_sites)
    if study.outside_reference and name != "classify":
        return None  # the card stands in for the reference site
    if n_sites < 2:
        return f"{name} needs two sites that can be trained on; this study has {n_sites}"
    if name != "classify" and study.reference_site not in study.trained_sites:
        found = ", ".join(study.trained_sites)
        return (
            f"the reference site {study.reference_site} is not among the trained sites ({found})"
        )
    return None


def left_out_by_default(name: str, study: "Study") -> str | None:
    """The reason why a stage that could run does not run unless ``--stages`` names it.

    Parameters
    ----------
    name
        A name of :data:`STAGES`.
    study
        What the participant level wrote.

    Returns
    -------
    str or None
        A sentence for the user; ``None`` for a stage that belongs to every run.
    """
    from bids_harmonize.bids.names import scan_output

    maps = (scan_output(study.output_dir, scan, "gm") for scan in study.scans)
    if name != FEATURES or any(path.is_file() for path in maps):
        return None
    return (
        "without tissue maps of the participant level (--no-tissue) it runs only where --stages "
        "names it, and then segments the preprocessed scans too"
    )


def has_features(study: "Study") -> bool:
    """Whether an earlier run has measured features of this study's images."""
    from bids_harmonize.bids.names import group_output

    return group_output(study.output_dir, "group_features").is_file()


def applies_models(name: str) -> bool:
    """Whether a stage can apply a model of another run; raises UsageError for an unknown one."""
    return _row(name).apply_target is not None


def can_apply(name: str, settings: "Settings") -> str | None:
    """The reason why a stage cannot use the models of ``--model-dir``, or ``None`` if it can.

    Parameters
    ----------
    name
        A name of :data:`STAGES`.
    settings
        Of the run; ``model_dir`` is set.

    Returns
    -------
    str or None
        A sentence for the user.

    Raises
    ------
    UsageError
        If there is no such stage.
    """
    from bids_harmonize.bids.model_folders import (
        choose_harmonizer,
        classifier_model,
        combat_model,
    )

    group = settings.group
    folder = Path(group.model_dir or "")
    if not applies_models(name):
        return "with --model-dir models of another run are applied, and it applies none"
    if name == CLASSIFY:
        return None if classifier_model(folder) else f"no site classifier in {folder}"
    if name == DISORDER:
        if combat_model(folder) is None:
            return f"no ComBat in {folder}"
        return None if group.group_column else _NO_GROUP
    _, reason = choose_harmonizer(
        folder,
        name=group.harmonizer,
        reference_site=settings.site.reference_site,
        default=group.harmonizer,
    )
    return reason or None


def applies_harmonizer(settings: "Settings") -> bool:
    """Whether the run applies a trained harmonizer, at either level."""
    group = settings.group
    wanted = group.stages is None or HARMONIZE in group.stages
    return group.model_dir is not None and wanted and can_apply(HARMONIZE, settings) is None


def can_use_features(name: str, settings: "Settings") -> str | None:
    """The reason why a stage cannot use ``--features``, or ``None`` if it can."""
    if _row(name).features_target is None:
        return "it needs images, and --features gives tables only"
    if settings.group.model_dir is not None and name != DISORDER:
        return "with --model-dir a ComBat of another run is applied, and it applies none"
    return _NO_GROUP if name in OF_GROUPS and settings.group.group_column is None else None


def run_stage(name: str, context: StageContext | FeatureContext) -> StageResult:
    """Run one stage.

    Parameters
    ----------
    name
        A name of :data:`STAGES`.
    context
        The study, the settings and the place to work in. Settings with ``model_dir`` apply that
        model; a FeatureContext has tables in place of images.

    Returns
    -------
    StageResult
        Files written, warnings, failures and notes.

    Raises
    ------
    UsageError
        If there is no such stage, or it cannot do what is asked.
    HarmonizeError
        If the stage could not be done at all.
    """
    row = _row(name)
    target: str | None = row.target
    if isinstance(context, FeatureContext):
        target = row.features_target
    elif context.settings.group.model_dir is not None:
        target = row.apply_target
    if target is None:
        tables = isinstance(context, FeatureContext)
        reason = (
            can_use_features(name, context.settings)
            if tables
            else can_apply(name, context.settings)
        )
        message = f"stage {name}: {reason}"
        raise UsageError(message)
    result: StageResult = resolve_name(target)(context)
    return result


def _row(name: str) -> StageRow:
    if name not in STAGES:
        message = f"unknown stage {name!r}. Available: {', '.join(STAGES)}"
        raise UsageError(message)
    return STAGES[name]
