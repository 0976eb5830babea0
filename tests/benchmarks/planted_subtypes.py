"""Subtypes that are known beforehand, in the real cortical thickness of healthy people.

A random 45 % of each site become pseudo-patients. Two patterns thin disjoint sets of regions, the
frontal lobe (19 of 74 regions a hemisphere) and the temporal lobe (17 of 74), about a quarter of
the cortex each, by d times the regions' own standard deviation within sites after age and sex.
Half of the sites (drawn at random) have 80 % patients of the first pattern, the others 20 %.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.stats import fit_combat

TABLE = Path("tables/fcon1000_freesurfer.csv")
SHARE_OF_PATIENTS = 0.45
PREVALENCES = (0.8, 0.2)

_FRONTAL = re.compile("front|orbital|rectus|precentral")
_TEMPORAL = re.compile("temp|fusif|collat|Parahip")


@dataclass(frozen=True)
class Cohort:
    """Healthy people of several sites.

    Attributes
    ----------
    thickness
        Shape (n, p), mm.
    regions
        p names.
    site
        Shape (n,).
    design
        Shape (n, 4): one, age, age squared, sex; standardised.
    """

    thickness: np.ndarray
    regions: tuple[str, ...]
    site: np.ndarray
    design: np.ndarray

    def of(self, rows: np.ndarray) -> "Cohort":
        """Some of the people."""
        return Cohort(self.thickness[rows], self.regions, self.site[rows], self.design[rows])

    @property
    def lobes(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the frontal and of the temporal lobe."""
        frontal = [i for i, name in enumerate(self.regions) if _FRONTAL.search(name)]
        temporal = [i for i, name in enumerate(self.regions) if _TEMPORAL.search(name)]
        return np.array(frontal), np.array(temporal)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each region within sites after age and sex, (p,), mm."""
        within = np.c_[_indicators(self.site), self.design[:, 1:]]
        return _residuals(self.thickness, within).std(axis=0)


@dataclass(frozen=True)
class Planted:
    """Pseudo-patients among the people of a cohort.

    Attributes
    ----------
    thickness
        Shape (n, p), mm, with the patients' effect.
    is_case
        Shape (n,).
    subtype
        Shape (n,), 0 or 1; of no meaning in controls.
    truth
        Shape (p,), mean effect in patients, SD within sites; thinner is below 0.
    """

    thickness: np.ndarray
    is_case: np.ndarray
    subtype: np.ndarray
    truth: np.ndarray


def read_cohort(data: Path) -> Cohort:
    """Everybody in the table of the shared data."""
    table = pd.read_csv(data / TABLE)
    regions = [c for c in table if c.endswith("_thickness") and "Mean" not in c]
    age, sex = table["age"].to_numpy(float), table["sex"].to_numpy(float)
    return Cohort(
        table[regions].to_numpy(float),
        tuple(regions),
        table["site"].to_numpy(str),
        _standardised(np.c_[age, age**2, sex]),
    )


def deal_patients(sites: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random 45 % of each site, (n,)."""
    is_case = np.zeros(len(sites), dtype=bool)
    for name in np.unique(sites):
        rows = rng.permutation(np.flatnonzero(sites == name))
        is_case[rows[: round(SHARE_OF_PATIENTS * len(rows))]] = True
    return is_case


def plant_subtypes(cohort: Cohort, d: float, rng: np.random.Generator) -> Planted:
    """Two kinds of patients, the one common at half of the sites, the other at the other half."""
    is_case = deal_patients(cohort.site, rng)
    subtype = np.zeros(len(is_case), dtype=int)
    for i, name in enumerate(rng.permutation(np.unique(cohort.site))):
        rows = np.flatnonzero(cohort.site == name)
        subtype[rows] = rng.random(len(rows)) >= PREVALENCES[i % 2]
    severity = np.zeros((len(is_case), 2))
    severity[np.arange(len(is_case)), subtype] = d * is_case
    return _thinned(cohort, severity, is_case, subtype)


def plant_severity(cohort: Cohort, severity: np.ndarray, is_case: np.ndarray) -> Planted:
    """One kind of patients, with the frontal pattern as strong as (n,) says, in SD."""
    both = np.c_[severity * is_case, np.zeros(len(is_case))]
    return _thinned(cohort, both, is_case, np.zeros(len(is_case), dtype=int))


def adjust(
    features: np.ndarray, sites: Sequence[str], design: np.ndarray, fit_rows: np.ndarray
) -> np.ndarray:
    """What site and covariates do not explain, by a model of some of the people.

    Parameters
    ----------
    features
        Shape (n, p).
    sites
        One name a person; each is among the people whom the model is fitted on.
    design
        Shape (n, 1 + c), the first column 1.
    fit_rows
        Shape (n,), true for those people.

    Returns
    -------
    np.ndarray
        Shape (n, p), in the unit of the features: after ComBat, what is expected of the covariates
        among the same people is taken off.
    """
    covariates = design[:, 1:]
    names = [str(name) for name in sites]
    own = [name for name, is_fitted in zip(names, fit_rows, strict=True) if is_fitted]
    combat = fit_combat(features[fit_rows], own, covariates[fit_rows])
    adjusted = combat.transform(features, names, covariates)
    found = np.linalg.lstsq(design[fit_rows], adjusted[fit_rows], rcond=None)[0]
    return np.asarray(adjusted - design @ found)


def deviations(arm: str, cohort: Cohort, planted: Planted) -> np.ndarray:
    """People's deviations in an arm: ``raw``, ``pooled`` or ``controls``, (n, p)."""
    controls = ~planted.is_case
    if arm == "raw":
        found = np.linalg.lstsq(cohort.design[controls], planted.thickness[controls], rcond=None)[
            0
        ]
        return planted.thickness - cohort.design @ found
    fit_rows = np.ones_like(controls) if arm == "pooled" else controls
    return adjust(planted.thickness, list(cohort.site), cohort.design, fit_rows)


def effect_map(values: np.ndarray, is_case: np.ndarray) -> np.ndarray:
    """Cohen's d of patients against controls in each region, (p,)."""
    cases, controls = values[is_case], values[~is_case]
    variances = cases.var(axis=0, ddof=1) + controls.var(axis=0, ddof=1)
    return (cases.mean(axis=0) - controls.mean(axis=0)) / np.sqrt(variances / 2)


def _thinned(
    cohort: Cohort, severity: np.ndarray, is_case: np.ndarray, subtype: np.ndarray
) -> Planted:
    patterns = np.zeros((2, len(cohort.regions)))
    for pattern, lobe in zip(patterns, cohort.lobes, strict=True):
        pattern[lobe] = -1.0
    effect = severity @ patterns  # (n, p), SD
    thickness = cohort.thickness + effect * cohort.spread
    return Planted(thickness, is_case, subtype, effect[is_case].mean(axis=0))


def _standardised(values: np.ndarray) -> np.ndarray:
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    return np.c_[np.ones(len(scaled)), scaled]


def _indicators(sites: np.ndarray) -> np.ndarray:
    return (sites[:, None] == np.unique(sites)[None]).astype(float)


def _residuals(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
