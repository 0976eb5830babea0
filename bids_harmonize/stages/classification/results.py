"""From predictions of the network and its controls to the tables of the site accuracy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.columns import (
    ACCURACY_COLUMNS,
    CALIBRATION_COLUMNS,
    RECALL_COLUMNS,
    VISIBILITY_COLUMNS,
)
from bids_harmonize.stages.classification.controls import Controls
from bids_harmonize.stages.classification.tables import (
    accuracy_row,
    calibration_rows,
    recall_rows,
    write_rows,
)
from bids_harmonize.stages.classification.visibility import visibility_rows
from bids_harmonize.training.runtime import seeded_generator


def accuracy_rows(
    seen: pd.DataFrame, unseen: pd.DataFrame, controls: Controls, *, seed: int
) -> list[dict[str, Any]]:
    """Rows of the network, on seen and on unseen participants, then of its controls.

    Parameters
    ----------
    seen, unseen
        What the network's folds say.
    controls
        What the controls came to.
    seed
        The run's; of the permutations.

    Returns
    -------
    list of dict
        Rows of group_siteclassification.tsv; the second one is that of the network, unseen.
        What asks for calibrated probabilities is NaN for controls that have none.
    """
    told = {"network": (unseen, "full"), **controls.predictions}
    rows = [accuracy_row(seen, model="network", split="train", effort="full")]
    for model, (found, effort) in told.items():
        rng = seeded_generator(seed, "permutation", model)
        row = accuracy_row(found, model=model, split="validation", effort=effort, rng=rng)
        if model in controls.uncalibrated:
            row |= dict.fromkeys(("calibration_error", "brier"), float("nan"))
        rows.append(row)
    return rows


def write_site_tables(
    context: StageContext,
    rows: Sequence[Mapping[str, Any]],
    unseen: pd.DataFrame,
    controls: Controls,
) -> list[Path]:
    """Write accuracy, recall, calibration and visibility.

    Parameters
    ----------
    context
        The study, seed and effort.
    rows
        What :func:`accuracy_rows` returned.
    unseen
        What the network's folds say about people they have not seen.
    controls
        What the controls came to.

    Returns
    -------
    list of Path
        The tables.
    """
    folder, settings = context.study.output_dir, context.settings
    recalls = recall_rows(unseen, model="network")
    for model, (found, _) in controls.predictions.items():
        recalls += recall_rows(found, model=model)
    visible = visibility_rows(controls.visible, effort=settings.group.effort)
    bins = calibration_rows(unseen, model="network")
    return [
        write_rows(folder, "group_siteclassification", rows, ACCURACY_COLUMNS),
        write_rows(folder, "group_siterecall", recalls, RECALL_COLUMNS),
        write_rows(folder, "group_sitecalibration", bins, CALIBRATION_COLUMNS),
        write_rows(folder, "group_sitevisibility", visible, VISIBILITY_COLUMNS),
    ]


def result_note(rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence: how often the network is right, and each control beside it.

    Parameters
    ----------
    rows
        What :func:`accuracy_rows` returned.

    Returns
    -------
    str
        Accuracy of the network, balanced accuracy of the controls.
    """
    own, controls = rows[1], rows[2:]
    beside = ", ".join(f"{row['model']} {row['balanced_accuracy']:.0%}" for row in controls)
    return (
        f"the site of {own['accuracy']:.0%} of {own['n']} unseen participants was named rightly "
        f"({own['accuracy_low']:.0%} to {own['accuracy_high']:.0%}; balanced "
        f"{own['balanced_accuracy']:.0%}, chance {own['chance']:.0%}); "
        f"controls, balanced: {beside}"
    )


def skipped_notes(skipped: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each control that was not run.

    Parameters
    ----------
    skipped
        Control to the reason.

    Returns
    -------
    tuple of str
        Empty if all were run.
    """
    return tuple(f"control {name} was not run: {reason}" for name, reason in skipped.items())
