"""The tables on images; what an earlier run left goes where nothing was measured."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.sidecars import remove_with_sidecar
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import write_table
from bids_harmonize.harmonizers import HARMONIZERS, baselines
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluation.comparison import methods_table, primary_tests
from bids_harmonize.stages.evaluation.image_columns import (
    lesions_columns,
    reidentification_columns,
)
from bids_harmonize.stages.evaluation.lesions import lesions_table
from bids_harmonize.stages.evaluation.reidentification import reidentification_table
from bids_harmonize.stages.evaluation.tables import methods_columns, travelling_columns
from bids_harmonize.training.runtime import seeded_generator


def write_travelling(
    context: StageContext, scores: pd.DataFrame, trained: Sequence[str]
) -> tuple[Path, ...]:
    """Write group_travelling.tsv and group_methods.tsv.

    Parameters
    ----------
    context
        The study.
    scores
        Rows of group_travelling.tsv.
    trained
        The harmonizers that the primary endpoint is tested for.

    Returns
    -------
    tuple of Path
        What was written; empty without rows.
    """
    study = context.study
    paths = [group_output(study.output_dir, key) for key in ("group_travelling", "group_methods")]
    if scores.empty:
        for path in paths:
            remove_with_sidecar(path)
        return ()
    described, size, mask = _descriptions(), study.voxel_size_mm, study.scaling_mask
    rng = seeded_generator(context.settings.run.random_seed, "evaluate", "bootstrap")
    tests = primary_tests(scores, trained=trained, training_free=baselines())
    table = methods_table(scores, tests, rng=rng)
    write_table(paths[0], scores, travelling_columns(described, voxel_size_mm=size, mask=mask))
    write_table(paths[1], table, methods_columns(described, voxel_size_mm=size, mask=mask))
    return tuple(paths)


def write_reidentification(study: Study, rows: pd.DataFrame) -> tuple[Path, ...]:
    """Write group_reidentification.tsv.

    Parameters
    ----------
    study
        The study.
    rows
        One row a method, direction and person who was looked for.

    Returns
    -------
    tuple of Path
        What was written; empty without rows.
    """
    path = group_output(study.output_dir, "group_reidentification")
    if rows.empty:
        remove_with_sidecar(path)
        return ()
    write_table(path, reidentification_table(rows), reidentification_columns(_descriptions()))
    return (path,)


def write_lesions(context: StageContext, rows: pd.DataFrame) -> tuple[Path, ...]:
    """Write group_lesions.tsv.

    Parameters
    ----------
    context
        The study.
    rows
        One row a method, person and lesion.

    Returns
    -------
    tuple of Path
        What was written; empty without rows.
    """
    path = group_output(context.study.output_dir, "group_lesions")
    if rows.empty:
        remove_with_sidecar(path)
        return ()
    rng = seeded_generator(context.settings.run.random_seed, "evaluate", "lesions")
    columns = lesions_columns(_descriptions(), effort=context.settings.group.effort)
    write_table(path, lesions_table(rows, rng=rng), columns)
    return (path,)


def _descriptions() -> dict[str, str]:
    return {row.name: row.description for row in HARMONIZERS.values()}
