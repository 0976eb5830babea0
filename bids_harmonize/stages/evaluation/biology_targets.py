"""What is read from people, and in whom it is known."""

import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.stages.classification.shortcuts import participant_covariates
from bids_harmonize.stages.evaluation.biology import Target


def covariate_targets(study: Study) -> list[Target]:
    """Age and sex, as far as ``participants.tsv`` has them.

    Parameters
    ----------
    study
        Whose participants.

    Returns
    -------
    list of Target
        Sex is 1 for f and 0 for m; other words are left out.
    """
    known = participant_covariates(study)
    found = []
    if "age" in known:
        found.append(Target("age", known["age"].dropna()))
    if "sex" in known:
        found.append(Target("sex", known["sex"].map({"f": 1.0, "m": 0.0}).dropna()))
    return found


def group_target(study: Study) -> Target | None:
    """Patients (1) against controls (0); ``None`` without ``--group-column``."""
    group = study.control_group
    if group is None:
        return None
    words = study.participants[group.column].dropna()
    is_case = pd.Series(~words.index.isin(group.controls), index=words.index)
    return Target("group", is_case.astype(float))
