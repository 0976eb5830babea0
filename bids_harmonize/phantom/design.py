"""What a study holds: who, at which sites, with which traits."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite

from bids_harmonize.errors import UsageError
from bids_harmonize.phantom.disorder import DISORDERS
from bids_harmonize.phantom.person import AGE_RANGE, Traits, draw_traits
from bids_harmonize.phantom.presets import PRESETS
from bids_harmonize.phantom.scanner import site_names
from bids_harmonize.phantom.seeds import named_generator, spread_number

RESOLUTION_RANGE_MM = (1.0, 6.0)
MAX_PEOPLE = 400
_FIRST_CASE = 501  # cases are numbered apart, so that more controls do not rename them


@dataclass(frozen=True, kw_only=True)
class StudyDesign:
    """All choices of a phantom study.

    Attributes
    ----------
    preset
        Row of ``PRESETS``.
    n_sites
        1 to 26.
    n_per_site
        Healthy participants scanned at one site only, per site.
    n_travelling
        Healthy participants scanned twice at every site.
    resolution_mm
        Nominal voxel size, 1 to 6 mm.
    seed
        >= 0; fixes every byte.
    n_cases
        Participants with the disorder, per site, on top of ``n_per_site``.
    disorder
        Row of ``DISORDERS``; counts only with ``n_cases``.
    severity
        1 is the stated atrophy.
    age_shift_years
        By how much each site's ages lie above those of the site before; 0 keeps age independent
        of site.
    noise_free
        Whether the truth holds the noise-free images too.
    """

    preset: str = "default"
    n_sites: int = 2
    n_per_site: int = 12
    n_travelling: int = 4
    resolution_mm: float = 4.0
    seed: int = 0
    n_cases: int = 0
    disorder: str = "subtypes"
    severity: float = 1.0
    age_shift_years: float = 0.0
    noise_free: bool = False

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            message = "the phantom study cannot be made:\n  " + "\n  ".join(faults)
            raise UsageError(message)

    @property
    def base_mm(self) -> float:
        """Voxel size of the maps that heads are made of, mm."""
        if self.resolution_mm >= 5.0:
            return 3.0
        return 2.0 if self.resolution_mm >= 2.5 else max(1.0, self.resolution_mm * 0.75)


@dataclass(frozen=True)
class PlannedPerson:
    """One participant of a study.

    Attributes
    ----------
    label
        Without ``sub-``; ``A001`` is the first of SiteA, ``trav001`` the first travelling one.
    site
        ``None`` for a travelling subject.
    group
        ``"control"`` or ``"case"``.
    traits
        The truth behind the anatomy.
    """

    label: str
    site: str | None
    group: str
    traits: Traits

    @property
    def participant_id(self) -> str:
        """As in participants.tsv."""
        return f"sub-{self.label}"


def plan_people(design: StudyDesign) -> tuple[PlannedPerson, ...]:
    """Everybody in the study; a larger study holds the same people first.

    Ages are spread evenly over 20-75 years at every site and sexes are dealt in pairs, both
    independent of each other, of site and of group.

    Parameters
    ----------
    design
        The study.

    Returns
    -------
    tuple of PlannedPerson
        Site by site: controls, then cases; travelling subjects last.
    """
    people: list[PlannedPerson] = []
    for place, site in enumerate(site_names(design.n_sites)):
        shift = place * design.age_shift_years
        letter = site.removeprefix("Site")
        for index in range(design.n_per_site):
            person = _plan(design, f"{letter}{index + 1:03d}", index, site, None, "control")
            people.append(_older(person, shift))
        for index in range(design.n_cases):
            pattern = DISORDERS[design.disorder].pattern(index, site=place)
            label = f"{letter}{index + _FIRST_CASE:03d}"
            people.append(_older(_plan(design, label, index, site, pattern, "case"), shift))
    people.extend(
        _plan(design, f"trav{index + 1:03d}", index, None, None, "control")
        for index in range(design.n_travelling)
    )
    return tuple(people)


def _plan(
    design: StudyDesign, label: str, index: int, site: str | None, pattern: str | None, group: str
) -> PlannedPerson:
    where = site or "travelling"
    low, high = AGE_RANGE
    age = low + (high - low) * spread_number(design.seed, index, "age", where, group)
    pair = named_generator(design.seed, "sex", where, group, index // 2).permutation(["F", "M"])
    traits = draw_traits(
        named_generator(design.seed, "traits", label),
        age=age,
        sex=str(pair[index % 2]),
        pattern=pattern,
        severity=design.severity,
    )
    return PlannedPerson(label, site, group, traits)


def _older(person: PlannedPerson, years: float) -> PlannedPerson:
    """The person drawn at a shifted age; anatomy follows age as everywhere."""
    if years == 0:
        return person
    return replace(person, traits=person.traits.at_age(person.traits.age + years))


def _faults(design: StudyDesign) -> list[str]:
    low, high = RESOLUTION_RANGE_MM
    checks = (
        (
            design.preset in PRESETS,
            f"preset: found {design.preset!r}; available: {_names(PRESETS)}",
        ),
        (
            design.disorder in DISORDERS,
            f"disorder: found {design.disorder!r}; available: {_names(DISORDERS)}",
        ),
        (1 <= design.n_sites <= 26, f"sites: found {design.n_sites}; expected 1 to 26"),
        *(
            (0 <= count <= MAX_PEOPLE, f"{name}: found {count}; expected 0 to {MAX_PEOPLE}")
            for name, count in (
                ("per-site", design.n_per_site),
                ("cases", design.n_cases),
                ("travelling", design.n_travelling),
            )
        ),
        (
            design.n_per_site + design.n_cases + design.n_travelling > 0,
            "found no participants; give per-site, cases or travelling above 0",
        ),
        (
            low <= design.resolution_mm <= high,
            f"resolution: found {design.resolution_mm:g} mm; expected {low:g} to {high:g}",
        ),
        (design.seed >= 0, f"seed: found {design.seed}; expected 0 or more"),
        (
            0 <= design.severity <= 3,
            f"severity: found {design.severity:g}; expected 0 to 3",
        ),
        (
            isfinite(design.age_shift_years)
            and abs(design.age_shift_years) * (design.n_sites - 1) <= 40,
            f"age-shift: found {design.age_shift_years:g}; expected at most 40 years in all",
        ),
    )
    return [message for good, message in checks if not good]


def _names(table: Iterable[str]) -> str:
    return ", ".join(table)
