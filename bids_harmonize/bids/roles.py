"""Who trains, who travels, which sites take part, and which one is the reference."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np

from bids_harmonize.bids.control_group import ControlGroup, trainees_of
from bids_harmonize.config import MEDIAN_REFERENCE, SiteSettings
from bids_harmonize.errors import SiteError

MIN_TRAINED_SITES = 2
_KEPT_WORDS = {
    MEDIAN_REFERENCE: "--reference-site keeps for the median of all sites",
    "all": "tables keep for the row of all sites together",
}


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Sites and participants by what they are used for."""

    trained_sites: tuple[str, ...]
    """Sites with at least ``min_per_site`` eligible participants, sorted; with ``--model-dir``
    nothing is trained here, so there is none."""
    left_out: Mapping[str, str]
    """Site that takes no part, and the reason."""
    travelling: frozenset[str]
    """Participants with scans at two or more trained sites that are kept for the proof."""
    eligible: frozenset[str]
    """Participants that may be trained on; all but those held back are."""
    reference_site: str
    """Empty where nothing is trained."""
    control_group: ControlGroup | None = None
    """What the group column says; ``None`` where none was named."""
    held_back: frozenset[str] = frozenset()
    """Eligible participants that no model is fitted on, so that all are fitted on controls."""
    fitted_on_everybody: str = ""
    """Why nobody is held back in spite of a group column."""

    @property
    def trainees(self) -> frozenset[str]:
        """Participants that models are fitted on."""
        return self.eligible - self.held_back

    @property
    def people_words(self) -> str:
        """A phrase for those whom the models are fitted on; empty where no group was named."""
        if self.control_group is None:
            return ""
        if self.fitted_on_everybody:
            return "controls and others together"
        return f"controls alone ({self.control_group.column} = {self.control_group.label})"

    @property
    def fit_words(self) -> str:
        """One sentence on whom the models are fitted; empty where no group was named."""
        if self.control_group is None or self.fitted_on_everybody:
            return self.fitted_on_everybody
        return (
            f"models are fitted on {self.people_words}: "
            f"{len(self.trainees)} of {len(self.eligible)} eligible participants"
        )


NO_ROLES = Roles(
    trained_sites=(),
    left_out={},
    travelling=frozenset(),
    eligible=frozenset(),
    reference_site="",
)
"""Of a study on which nothing is trained."""


def assign_roles(
    visits: Mapping[str, Set[str]],
    usable: Mapping[str, Set[str]],
    *,
    settings: SiteSettings,
    seed: int,
    least_sites: int = MIN_TRAINED_SITES,
    outside: str | None = None,
    control_group: ControlGroup | None = None,
) -> Roles:
    """Sites and participants by what they are used for.

    Parameters
    ----------
    visits
        Participant to the sites of all their scans.
    usable
        The same for usable scans only; only these train.
    settings
        Reference site, least number of participants, number of travelling ones to hold out.
    seed
        Decides who is held out.
    least_sites
        Number of sites that must be fit to train on.
    outside
        A reference that is no trained site. Known by its card: scans made there neither train nor
        count, and who has some beside those of a trained site is travelling. Or
        ``MEDIAN_REFERENCE``, where nobody was scanned.
    control_group
        Who is a control; ``None`` without a group column.

    Returns
    -------
    Roles
        With ``hold_out_travelling`` N, N travelling participants are kept for the proof and the
        others train at each of their sites.

    Raises
    ------
    SiteError
        If fewer than ``least_sites`` sites can be trained, the reference site is not one of
        them, or a site is named like the virtual reference or the rows of all sites.
    """
    for word, meaning in _KEPT_WORDS.items():
        if any(word in seen for seen in visits.values()):
            message = f"a site is named {word!r}, the word that {meaning}; rename it by --site-map"
            raise SiteError(message)
    sites = sorted(set().union(*visits.values()) - {outside})
    kept = _held_out(visits, n=settings.hold_out_travelling, seed=seed)
    candidates = {
        name: set(usable.get(name, ()))
        for name, seen in visits.items()
        if len(seen) == 1 or (settings.hold_out_travelling and name not in kept)
    }
    counts = {site: sum(site in seen for seen in candidates.values()) for site in sites}
    trained = tuple(site for site in sites if counts[site] >= settings.min_per_site)
    doubtful = Counter(
        site
        for name, seen in visits.items()
        if len(seen) == 1 and not usable.get(name)
        for site in seen
    )
    left_out = {
        site: f"participants to train on: {counts[site]}, fewer than {settings.min_per_site} "
        f"(--min-per-site){_doubtful_words(doubtful[site])}"
        for site in sites
        if site not in trained
    }
    if len(trained) < least_sites:
        raise SiteError(_too_few(visits, trained, left_out, settings, least_sites))
    judged = {*trained, outside}
    at_trained = {name: set(seen) & judged for name, seen in visits.items()}
    wanderers = {name for name, seen in at_trained.items() if len(seen) > 1}
    eligible = {
        name
        for name, seen in usable.items()
        if set(seen) & set(trained)
        and (name not in wanderers or (settings.hold_out_travelling and name not in kept))
    }
    n_eligible = {site: sum(site in usable[name] for name in eligible) for site in trained}
    trainees, reason = trainees_of(
        {name: usable[name] for name in eligible},
        controls=control_group.controls if control_group else None,
        trained_sites=trained,
        least=settings.min_per_site,
    )
    return Roles(
        trained_sites=trained,
        left_out=left_out,
        travelling=frozenset(wanderers - eligible),
        eligible=frozenset(eligible),
        reference_site=outside or _reference(settings.reference_site, n_eligible, left_out),
        control_group=control_group,
        held_back=frozenset(eligible) - trainees,
        fitted_on_everybody=reason,
    )


def stratum_of_participant(
    visits: Iterable[tuple[str, str]], trained_sites: Iterable[str]
) -> dict[str, str]:
    """Participant to the one site by which splits are stratified.

    A person of several sites (only with ``--hold-out-travelling``) counts at the one that has
    the fewest so far, so that strata stay even.

    Parameters
    ----------
    visits
        Participant and site of every scan that trains.
    trained_sites
        All sites of the visits.

    Returns
    -------
    dict
        Everybody in the visits.

    Examples
    --------
    >>> stratum_of_participant([("sub-1", "A"), ("sub-2", "A"), ("sub-2", "B")], ["A", "B"])
    {'sub-1': 'A', 'sub-2': 'B'}
    """
    sites: dict[str, set[str]] = {}
    for participant, site in visits:
        sites.setdefault(participant, set()).add(site)
    chosen: dict[str, str] = {}
    counts = dict.fromkeys(trained_sites, 0)
    for participant in sorted(sites, key=lambda name: (len(sites[name]), name)):
        site = min(sites[participant], key=lambda name: (counts[name], name))
        chosen[participant] = site
        counts[site] += 1
    return chosen


def _held_out(visits: Mapping[str, Set[str]], *, n: int, seed: int) -> set[str]:
    """The ``n`` travelling participants that do not train."""
    if n == 0:
        return set()
    names = sorted(name for name, seen in visits.items() if len(seen) > 1)
    if n > len(names):
        message = f"--hold-out-travelling {n}: only {len(names)} participants travel"
        raise SiteError(message)
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[index] for index in order[:n]}


def _doubtful_words(n: int) -> str:
    """Why fewer count than were scanned."""
    return f"; {n} more have only scans with a doubtful head or brain mask" if n else ""


def _reference(
    wanted: str | None, n_eligible: Mapping[str, int], left_out: Mapping[str, str]
) -> str:
    if wanted is None:
        return min(n_eligible, key=lambda site: (-n_eligible[site], site))
    if wanted in n_eligible:
        return wanted
    reason = f" ({left_out[wanted]})" if wanted in left_out else ""
    message = (
        f"--reference-site {wanted!r} is no trained site{reason}; "
        f"trained are: {', '.join(n_eligible)}"
    )
    raise SiteError(message)


def _too_few(
    visits: Mapping[str, Set[str]],
    trained: tuple[str, ...],
    left_out: Mapping[str, str],
    settings: SiteSettings,
    least_sites: int,
) -> str:
    lines = [f"{len(trained)} site(s) can be trained, at least {least_sites} are needed:"]
    lines += [f"  {site}: enough participants" for site in trained]
    lines += [f"  {site}: {reason}" for site, reason in left_out.items()]
    n_travelling = sum(len(seen) > 1 for seen in visits.values())
    if n_travelling:
        lines.append(
            f"{n_travelling} participants have scans at several sites and do not train by "
            "themselves; --hold-out-travelling N keeps N of them for the proof and trains on "
            f"the others (now {settings.hold_out_travelling}; 0 trains on none)"
        )
    return "\n".join(lines)
