"""Halves of the participants: each is harmonized by the model that has seen only the other."""

from collections.abc import Mapping

import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.training.splits import make_halves

NEED_HALVES = frozenset({"features", "evaluate"})
"""Stages that look at images of people whom the harmonizer has not seen."""

LEAST_PER_HALF = 5  # participants of a site; fewer give "cannot tell", no number


def study_halves(
    study: Study, settings: Settings
) -> tuple[tuple[frozenset[str], frozenset[str]] | None, str | None]:
    """Halves of the participants for cross-fitting, or the reason why there are none.

    Parameters
    ----------
    study, settings
        Who is eligible; ``--stages`` decides whether halves are needed.

    Returns
    -------
    tuple
        Halves stratified by site, group, sex and age, or ``None`` with a sentence. Participants
        who are held back from all fitting stand in them too, so that everybody is unseen by one.
    """
    stages = settings.group.stages
    if stages is not None and not NEED_HALVES & set(stages):
        return None, None
    if len(study.trained_sites) < 2:
        return None, (
            f"no half models were fitted: {study.trained_sites[0]} is the only local site, so a "
            "site probe has nothing to tell apart"
        )
    site_of = study.site_of_participant(study.eligible)
    halves = make_halves(site_of, seed=settings.run.random_seed, strata=_strata(study, site_of))
    for half in halves:
        for site in study.trained_sites:
            count = sum(site_of[person] == site for person in half & study.trainees)
            if count < LEAST_PER_HALF:
                people = "controls" if study.held_back else "participants"
                reason = (
                    f"no half models were fitted: site {site} has {count} {people} in a half, "
                    f"{LEAST_PER_HALF} are needed; site probes and harmonized features cannot tell"
                )
                return None, reason
    return halves, None


def half_of_participants(study: Study, settings: Settings) -> dict[str, str]:
    """Participant to ``1`` or ``2``; empty where there are no halves."""
    halves, _ = study_halves(study, settings)
    return {
        person: str(number) for number, half in enumerate(halves or (), start=1) for person in half
    }


def _strata(study: Study, site_of: Mapping[str, str]) -> dict[str, str] | None:
    """A word for each participant from group, sex, and age above or below the median."""
    people = study.participants.reindex(sorted(site_of))
    words = pd.Series("", index=people.index)
    if study.held_back:
        words = pd.Series(people.index.isin(study.held_back), index=people.index).map(
            {True: "held back ", False: ""}
        )
    if "sex" in people.columns:
        words = words + people["sex"].astype(object).fillna("").astype(str)
    if "age" in people.columns:
        older = people["age"] > people["age"].median()
        words = words + older.map({True: "+", False: "-"})
    return {str(person): word for person, word in words.items()}
