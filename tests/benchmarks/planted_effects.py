"""Effects of age and of a group on volumes, pooled over sites, and what is left of them.

Linear models, every site with its own intercept. The slope on age is that of controls, adjusted
for sex and intracranial volume; ``d`` is the difference of cases from controls adjusted for age,
sex and intracranial volume, in units of the model's residual deviation (Hedges' correction is
the same for all arms and is left out). Intracranial volume is that of the arm itself, as whoever
has nothing else would take it. Ratios are paired: one draw of people serves both arms.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binom, t

LIMITS = (0.85, 1.15)
N_DRAWS = 1000
ALPHA = 0.05
AGE, GROUP = "age", "group"


@dataclass(frozen=True, eq=False)
class People:
    """Who takes part; arrays over persons.

    Attributes
    ----------
    site
        Words.
    age
        Years.
    is_male, is_case
        bool.
    """

    site: np.ndarray
    age: np.ndarray
    is_male: np.ndarray
    is_case: np.ndarray

    def __len__(self) -> int:
        return len(self.site)

    def at(self, places: np.ndarray) -> "People":
        """The people at these places, who may come twice."""
        return People(
            self.site[places], self.age[places], self.is_male[places], self.is_case[places]
        )


def people_of(table: pd.DataFrame) -> People:
    """People from the columns site, age, sex (M, F) and group (control, case)."""
    return People(
        table["site"].to_numpy(str),
        table["age"].to_numpy(np.float64),
        (table["sex"] == "M").to_numpy(),
        (table["group"] != "control").to_numpy(),
    )


@dataclass(frozen=True)
class Effect:
    """One coefficient.

    Attributes
    ----------
    value
        mL a year, or mL between the groups.
    residual
        Residual standard deviation of the model, mL.
    p
        Two-sided, of no effect.
    """

    value: float
    residual: float
    p: float

    @property
    def standardised(self) -> float:
        """Cohen's d where the effect is a difference of groups."""
        return self.value / self.residual


@dataclass(frozen=True)
class Kept:
    """An effect in one arm as a share of the same effect in another one."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.3f} ({self.low:.3f} to {self.high:.3f})"

    @property
    def verdict(self) -> str:
        """By the ratio itself, and whether the interval could say so."""
        low, high = LIMITS
        word = "ok" if low <= self.ratio <= high else "misses"
        inside = low <= self.low and self.high <= high
        outside = self.high < low or self.low > high
        return word if inside or outside else f"{word} (the interval crosses a limit)"


@dataclass(frozen=True, eq=False)
class Measured:
    """A volume of everybody and the intracranial volume of the same images, mL."""

    volume: np.ndarray
    intracranial: np.ndarray

    def at(self, places: np.ndarray) -> "Measured":
        """Of the people at these places."""
        return Measured(self.volume[places], self.intracranial[places])


def effect_of(covariate: str, people: People, measured: Measured) -> Effect:
    """The adjusted slope on age among controls, or the adjusted difference of cases.

    Parameters
    ----------
    covariate
        ``age`` or ``group``.
    people, measured
        In the same order.

    Returns
    -------
    Effect
        Of the covariate.
    """
    if covariate == AGE:
        controls = np.flatnonzero(~people.is_case)
        people, measured = people.at(controls), measured.at(controls)
    columns = [people.age, people.is_male, measured.intracranial]
    if covariate == GROUP:
        columns.insert(0, people.is_case)
    sites = people.site[:, None] == np.unique(people.site)
    design = np.column_stack([*(np.asarray(c, np.float64) for c in columns), sites])
    design[:, : len(columns)] -= design[:, : len(columns)].mean(axis=0)
    found, _, rank, _ = np.linalg.lstsq(design, measured.volume, rcond=None)
    freedom = len(people) - int(rank)
    residual = float(np.sqrt(((measured.volume - design @ found) ** 2).sum() / freedom))
    spread = residual * float(np.sqrt(np.linalg.pinv(design.T @ design)[0, 0]))
    return Effect(float(found[0]), residual, float(2 * t.sf(abs(found[0]) / spread, freedom)))


def size_of(covariate: str, effect: Effect) -> float:
    """The number that is compared: slope, or d."""
    return effect.value if covariate == AGE else effect.standardised


def kept(
    covariate: str, people: People, arm: Measured, truth: Measured, rng: np.random.Generator
) -> Kept:
    """What an arm has left of the effect, with a paired bootstrap interval of 95 %.

    Parameters
    ----------
    covariate
        ``age`` or ``group``.
    people, arm, truth
        In the same order.
    rng
        Draws people within site and group.

    Returns
    -------
    Kept
        1 where the effects are equal.
    """

    def ratio(places: np.ndarray) -> float:
        who = people.at(places)
        own, true = (
            size_of(covariate, effect_of(covariate, who, one.at(places))) for one in (arm, truth)
        )
        return own / true

    drawn = [ratio(places) for places in _draws(people, rng)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Kept(ratio(np.arange(len(people))), float(low), float(high))


def _draws(people: People, rng: np.random.Generator) -> Iterator[np.ndarray]:
    strata = _strata(people, by_group=True)
    for _ in range(N_DRAWS):
        yield np.concatenate([rng.choice(members, len(members)) for members in strata])


def _strata(people: People, *, by_group: bool) -> list[np.ndarray]:
    """Places of the people of each site, and group if asked."""
    kinds = people.is_case if by_group else np.zeros(len(people), bool)
    return [
        members
        for site in np.unique(people.site)
        for kind in (False, True)
        if len(members := np.flatnonzero((people.site == site) & (kinds == kind)))
    ]


def dealt(covariate: str, people: People, rng: np.random.Generator) -> People:
    """The same people with the covariate dealt anew within each site.

    Parameters
    ----------
    covariate
        ``age`` (within controls and within cases) or ``group``.
    people
        Everybody.
    rng
        Deals.

    Returns
    -------
    People
        Every other column as it was.
    """
    order = np.arange(len(people))
    for members in _strata(people, by_group=covariate == AGE):
        order[members] = rng.permutation(members)
    if covariate == AGE:
        return People(people.site, people.age[order], people.is_male, people.is_case)
    return People(people.site, people.age, people.is_male, people.is_case[order])


def most_by_chance(n: int, *, alpha: float = ALPHA) -> int:
    """How many of n null results may be below alpha before that has a probability below alpha."""
    return int(binom.ppf(1 - alpha, n, alpha))
