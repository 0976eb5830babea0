"""Splits by participant, stratified by site; a scan never stands apart from its person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bids_harmonize.errors import LeakError, UnusableDataError
from bids_harmonize.training.runtime import seeded_generator

_MONITOR_SHARE = 0.2
_MONITOR_LEAST = 2


@dataclass(frozen=True)
class Split:
    """Participants to train on and participants to validate on; never one in both.

    Attributes
    ----------
    train
        Participant ids whose scans give gradients.
    validation
        Participant ids that stay unseen.
    """

    train: frozenset[str]
    validation: frozenset[str]

    def __post_init__(self) -> None:
        check_no_leak(self.train, held_out=self.validation)


def check_no_leak(train: Iterable[str], *, held_out: frozenset[str]) -> None:
    """Refuse a training split that contains somebody who must stay unseen.

    Parameters
    ----------
    train
        Participant ids about to be trained on.
    held_out
        Participant ids that must stay unseen.

    Raises
    ------
    LeakError
        If there is an overlap; names everybody in it.
    """
    seen = sorted(held_out.intersection(train))
    if seen:
        message = (
            f"{len(seen)} participant(s) that must stay unseen stand in a training split: "
            f"{', '.join(seen)}. This is a fault of the program; nothing was trained."
        )
        raise LeakError(message)


def make_folds(site_of: Mapping[str, str], *, n_folds: int, seed: int) -> tuple[Split, ...]:
    """Cross-validation folds; every participant is validated exactly once.

    Parameters
    ----------
    site_of
        Participant id to site.
    n_folds
        Number of folds, at least 2.
    seed
        The run's seed; equal seeds give equal folds.

    Returns
    -------
    tuple of Split
        One a fold; each site is spread evenly over the folds.

    Raises
    ------
    UnusableDataError
        If a site has fewer participants than there are folds.
    """
    counts = {site: len(group) for site, group in _by_site(site_of).items()}
    smallest = min(counts, key=lambda site: (counts[site], site), default=None)
    if n_folds < 2 or smallest is None or counts[smallest] < n_folds:
        message = (
            f"cannot make {n_folds} folds: participants per site are {counts}; every site needs "
            "at least one a fold. Lower --folds (2 at least)."
        )
        raise UnusableDataError(message)
    fold_of = _deal(site_of, n_parts=n_folds, seed=seed, purpose="folds")
    everybody = frozenset(site_of)
    folds = [
        frozenset(person for person, part in fold_of.items() if part == fold)
        for fold in range(n_folds)
    ]
    return tuple(Split(train=everybody - fold, validation=fold) for fold in folds)


def make_halves(
    site_of: Mapping[str, str], *, seed: int, strata: Mapping[str, str] | None = None
) -> tuple[frozenset[str], frozenset[str]]:
    """Two halves of the participants for cross-fitting.

    Parameters
    ----------
    site_of
        Participant id to site.
    seed
        The run's seed.
    strata
        Participant id to a word (group, sex, age half) that is balanced inside each site too.

    Returns
    -------
    tuple of frozenset
        Halves whose sizes differ by one participant at most in every site.
    """
    part_of = _deal(site_of, n_parts=2, seed=seed, purpose="halves", strata=strata)
    first = frozenset(person for person, part in part_of.items() if part == 0)
    return first, frozenset(site_of) - first


def make_monitor(site_of: Mapping[str, str], *, seed: int) -> frozenset[str]:
    """Participants that steer checkpoint selection and take no gradient.

    Parameters
    ----------
    site_of
        Participant id to site, eligible participants only.
    seed
        The run's seed.

    Returns
    -------
    frozenset of str
        A fifth of each site, at least 2, but never more than would leave 2 to train on.
    """
    chosen: set[str] = set()
    for site, group in _by_site(site_of).items():
        n_monitor = min(max(_MONITOR_LEAST, round(_MONITOR_SHARE * len(group))), len(group) - 2)
        order = seeded_generator(seed, "monitor", site).permutation(len(group))
        chosen.update(group[index] for index in order[: max(n_monitor, 0)])
    return frozenset(chosen)


def exchange_sites(
    site_of: Mapping[str, str], folds: Sequence[Split], *, seed: int
) -> dict[str, str]:
    """Sites for a control that must stay at chance: participants of each fold swap theirs.

    Parameters
    ----------
    site_of
        Participant id to site, everybody in the folds.
    folds
        Swapping stays inside a fold, so that every fold keeps all sites.
    seed
        The run's seed.

    Returns
    -------
    dict
        Participant id to the site that it was given.
    """
    exchanged: dict[str, str] = {}
    for number, fold in enumerate(folds):
        people = sorted(fold.validation)
        order = seeded_generator(seed, "shuffled", str(number)).permutation(len(people))
        exchanged |= {
            person: site_of[people[other]] for person, other in zip(people, order, strict=True)
        }
    return exchanged


def _by_site(site_of: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for person in sorted(site_of):
        groups.setdefault(site_of[person], []).append(person)
    return dict(sorted(groups.items()))


def _deal(
    site_of: Mapping[str, str],
    *,
    n_parts: int,
    seed: int,
    purpose: str,
    strata: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Deal each site's shuffled participants like cards, stratum after stratum.

    Each site starts at the part where the last one ended, so that all parts are of one size.
    """
    part_of: dict[str, int] = {}
    start = 0
    for site, group in _by_site(site_of).items():
        order = seeded_generator(seed, purpose, site).permutation(len(group))
        people = [group[index] for index in order]
        if strata is not None:
            people.sort(key=lambda person: strata[person])  # stable: shuffled inside a stratum
        for number, person in enumerate(people):
            part_of[person] = (start + number) % n_parts
        start += len(people)
    return part_of
