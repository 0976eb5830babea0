"""Are the cases of one arm of several kinds? The search, and two comparators by name."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.config import Settings
from bids_harmonize.stages.case_control.arms import Arm
from bids_harmonize.stages.case_control.deviations import KEYS, deal_folds, deviations
from bids_harmonize.stats import cramers_v
from bids_harmonize.stats.heterogeneity import Heterogeneity, assess_heterogeneity
from bids_harmonize.stats.hydra import fit_hydra
from bids_harmonize.stats.som import cluster_som
from bids_harmonize.stats.verdict import Effort
from bids_harmonize.training.runtime import seeded_generator

OURS: Final = "mixture"
HYDRA: Final = "hydra"
SOM: Final = "som"
SOM_CLUSTERS: Final = 6
"""As many as Sugihara 2017 found, patients and controls together."""

EFFORTS: Final = {
    "quick": Effort(n_splits=10, n_resamples=20, n_null=99),
    "full": Effort(),
}


@dataclass(frozen=True, eq=False)
class Comparator:
    """Another method's clusters of the same people.

    Attributes
    ----------
    name
        ``hydra`` or ``som``.
    k
        Number of clusters that it was given.
    labels
        Int from 0, of the cases, in their order.
    agreement
        Adjusted Rand index with our clusters; NaN where we have one.
    v_site
        Cramer's V with the site.
    """

    name: str
    k: int
    labels: np.ndarray
    agreement: float
    v_site: float


@dataclass(frozen=True, eq=False)
class ArmSubtypes:
    """What was found in one arm.

    Attributes
    ----------
    arm
        People and features.
    found
        Clusters, stability, nulls and verdict.
    whitened
        Deviations of the cases, whitened by controls; shape (n_cases, n_features).
    comparators
        Other methods.
    """

    arm: Arm
    found: Heterogeneity
    whitened: np.ndarray
    comparators: tuple[Comparator, ...]

    def labels(self, k: int) -> np.ndarray:
        """Cluster of each case with ``k`` clusters, int from 0."""
        return self.found.solutions[k].model.assign(self.whitened)


def search_subtypes(arm: Arm, settings: Settings) -> ArmSubtypes:
    """Clusters of the cases of one arm.

    Parameters
    ----------
    arm
        People and features.
    settings
        Effort, folds and seed.

    Returns
    -------
    ArmSubtypes
        With the verdict.

    Raises
    ------
    ValueError
        If cases or controls are too few.
    """
    seed = settings.run.random_seed
    table = deviations(arm, deal_folds(arm, n_folds=settings.group.folds, seed=seed))
    values = table[[name for name in table.columns if name not in KEYS]].to_numpy()
    case, sites = arm.cohort.is_case, arm.cohort.sites
    found = assess_heterogeneity(
        values,
        case,
        list(sites),
        rng=seeded_generator(seed, "subtypes", arm.name),
        effort=EFFORTS[settings.group.effort],
    )
    everybody = found.whitening.apply(values)
    ours = found.labels[case]
    others = _others(everybody, case, found.k, rng=seeded_generator(seed, "comparators", arm.name))
    comparators = tuple(
        Comparator(
            name,
            k,
            labels,
            float(adjusted_rand_score(ours, labels)) if found.k > 1 else float("nan"),
            cramers_v([str(label) for label in labels], list(sites[case])).value,
        )
        for name, k, labels in others
    )
    return ArmSubtypes(arm, found, everybody[case], comparators)


def _others(
    values: np.ndarray, case: np.ndarray, k: int, *, rng: np.random.Generator
) -> list[tuple[str, int, np.ndarray]]:
    """Name, number of clusters and labels of the cases by each comparator."""
    k_hydra = max(2, k)
    hydra = fit_hydra(values, case, k_hydra, rng=rng).assign(values[case])
    found = [(HYDRA, k_hydra, hydra)]
    if values.shape[1] > 1:
        som = cluster_som(values, SOM_CLUSTERS, rng=rng).assign(values[case])
        found.append((SOM, SOM_CLUSTERS, som))
    return found


def subtype_table(subtypes: ArmSubtypes) -> pd.DataFrame:
    """Rows of group_subtypes.tsv: one a case.

    Parameters
    ----------
    subtypes
        Of one arm.

    Returns
    -------
    DataFrame
        participant_id, arm, site, subtype (from 1, largest first), posterior, stability, and the
        clusters of the comparators.
    """
    found, cohort = subtypes.found, subtypes.arm.cohort
    case = cohort.is_case
    solution = found.solutions[found.k]
    columns = {
        "participant_id": cohort.people.index[case],
        "arm": subtypes.arm.name,
        "site": cohort.sites[case],
        "subtype": found.labels[case] + 1,
        "posterior": found.posterior[case].max(axis=1),
        "stability": solution.stability.per_person,
    }
    others = {one.name: one.labels + 1 for one in subtypes.comparators}
    return pd.DataFrame(columns | others)
