"""The ComBat of another run (``--model-dir``), made fit for the people of this one.

Nothing of it is fitted here: new people of its sites are brought to the same scale as those that
it was fitted on. A site that it does not know is refused, for nobody can tell what that scanner
does; guessing would leave its effect in and call it gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.judged import read_trained_on
from bids_harmonize.bids.model_folders import combat_model
from bids_harmonize.config import Settings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.case_control.cohort import Cohort, GivenCombat
from bids_harmonize.stages.case_control.combat_model import CombatModel, load_combat
from bids_harmonize.stages.case_control.covariates import find_covariates
from bids_harmonize.tables.own import RAW

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class FoundCombat:
    """A ComBat, its folder, and the participants that it was fitted on."""

    folder: Path
    model: CombatModel
    people: frozenset[str]


def read_given(settings: Settings) -> FoundCombat | None:
    """The ComBat of ``--model-dir``.

    Parameters
    ----------
    settings
        Of the run.

    Returns
    -------
    FoundCombat or None
        ``None`` without the option.

    Raises
    ------
    UnusableDataError
        If the folder has none, or one that cannot be read.
    """
    if settings.group.model_dir is None:
        return None
    folder = combat_model(Path(settings.group.model_dir))
    if folder is None:
        message = f"--model-dir {settings.group.model_dir}: no ComBat in it"
        raise UnusableDataError(message)
    return FoundCombat(folder, load_combat(folder), frozenset(read_trained_on(folder) or ()))


def with_given(cohort: Cohort, found: FoundCombat | None) -> Cohort:
    """The people, with the ComBat that is applied to them.

    Parameters
    ----------
    cohort
        Of one table.
    found
        From :func:`read_given`.

    Returns
    -------
    Cohort
        With the features of the model alone, in its order; as it was where there is no model, or
        the table is not raw.

    Raises
    ------
    UnusableDataError
        If a site is not one of the model's, or a feature or covariate of its is not there.
    """
    if found is None or cohort.arm != RAW:
        return cohort
    _check_sites(cohort, found)
    own = list(map(str, cohort.features.columns))
    missing = [name for name in found.model.features if name not in own]
    if missing:
        message = (
            f"the ComBat in {found.folder} was fitted on {len(found.model.features)} features, of "
            f"which the table lacks {len(missing)}: {_some(missing)}; give the same columns "
            "(--features, --feature-columns)"
        )
        raise UnusableDataError(message)
    beyond = [name for name in own if name not in found.model.features]
    notes = list(cohort.left_out)
    if beyond:
        notes.append(f"{len(beyond)} feature(s) that the given ComBat does not know")
    seen = int(cohort.people.index.isin(list(found.people)).sum())
    if seen:
        notes.append(
            f"the given ComBat was fitted on {seen} of these people: they are taken in, and seem "
            "a little more alike than people whom it has not seen"
        )
    columns = tuple(found.model.covariates)
    design = np.column_stack([_column(cohort, name, found) for name in columns])
    return replace(
        cohort,
        features=cohort.features[list(found.model.features)],
        left_out=tuple(notes),
        given=GivenCombat(
            found.model.combat, design if columns else np.empty((len(cohort.people), 0)), columns
        ),
    )


def _check_sites(cohort: Cohort, found: FoundCombat) -> None:
    sites = found.model.combat.sites
    unknown = cohort.people.loc[~cohort.people["site"].isin(sites), "site"]
    if unknown.empty:
        return
    counts = unknown.value_counts().sort_index()
    told = ", ".join(f"{site} ({n} participants)" for site, n in counts.items())
    message = (
        f"the ComBat in {found.folder} does not know the site {told}; it was fitted on "
        f"{', '.join(sites)}. Leave these people out, name their site as the model does "
        "(--site-map), or fit with people of that site (without --model-dir)"
    )
    raise UnusableDataError(message)


def _column(cohort: Cohort, name: str, found: FoundCombat) -> np.ndarray:
    """One column of the model's design; a covariate that is the same for all stands in no table.

    Float64, shape (n_people,).
    """
    if name in cohort.covariates:
        return cohort.covariates[name].to_numpy(dtype=np.float64)
    base, _, word = name.rpartition("_")
    told = find_covariates(cohort.details, None)
    values = told.get(name) if name in told else told.get(base)
    if values is None or values.isna().any():
        message = (
            f"the ComBat in {found.folder} keeps {', '.join(found.model.covariates)}, and {name} "
            "is not known of everybody here; add it to the table or to participants.tsv, and "
            "name it by --covariates if you name any"
        )
        raise UnusableDataError(message)
    if pd.api.types.is_float_dtype(values):
        return values.to_numpy(dtype=np.float64)
    return (values == word).to_numpy(np.float64)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
