"""The ComBat of a run, kept with the other models."""

from pathlib import Path

from bids_harmonize.bids.names import combat_folder
from bids_harmonize.stages.case_control.arms import CombatFeatures
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.combat_model import CombatModel, save_combat
from bids_harmonize.stages.case_control.covariates import AGE, TIV
from bids_harmonize.stages.records import FeatureContext


def keep_combat(
    context: FeatureContext, cohort: Cohort, found: CombatFeatures
) -> tuple[Path, ...]:
    """Write a ComBat that was fitted on all controls to ``models/combat``.

    Parameters
    ----------
    context
        The run.
    cohort
        The people; controls are those that it was fitted on.
    found
        What was fitted.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    source = next(study.source for study in context.studies if study.source.arm == cohort.arm)
    controls = cohort.people[~cohort.is_case]
    words = {AGE: "years", TIV: "as in the table"}
    model = CombatModel(
        found.combat,
        tuple(map(str, cohort.features.columns)),
        {name: words.get(name, "1 or 0, or as in the table") for name in found.covariates},
        "controls alone",
    )
    return save_combat(
        combat_folder(context.output_dir),
        model,
        people={str(name): str(site) for name, site in controls["site"].items()},
        provenance={"table": source.words, "run_id": context.run_id},
    )
