"""Who is a control: with ``--group-column`` models are fitted on controls alone.

Choice: the column is never guessed, and its word for controls only where it is one of the field's
own. Reason: a model fitted on the wrong half of a study looks like any other. Rejected: taking the
most frequent word for the controls. Revisit if BIDS comes to say which word means control.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final

import pandas as pd

from bids_harmonize.bids.tables import MISSING
from bids_harmonize.errors import UsageError

CONTROL_WORDS: Final = frozenset(
    (
        *("control", "controls", "healthy", "healthy control", "healthy controls"),
        *("hc", "cn", "ctrl", "td", "typically developing"),
    )
)
"""Words that need no ``--control-label``; in lower case, ``_`` and ``-`` read as blanks."""

_SHOWN = 12


@dataclass(frozen=True)
class ControlGroup:
    """What a group column says.

    Attributes
    ----------
    column, label
        The column, and its word for controls, as the table spells them.
    controls
        Participants who have that word.
    counts
        Word to the number of participants who have it; ``n/a`` for those who have none.
    """

    column: str
    label: str
    controls: frozenset[str]
    counts: Mapping[str, int]

    @property
    def words(self) -> str:
        """One phrase for logs and pages."""
        others = [f"{n} {word}" for word, n in self.counts.items() if word != self.label]
        found = f"{self.counts[self.label]} {self.label}"
        return f"column {self.column}: controls are {found}; others: {', '.join(others) or 'none'}"


def find_control_group(
    people: pd.DataFrame, *, column: str | None, label: str | None, source: str
) -> ControlGroup | None:
    """The controls among the participants of a study.

    Parameters
    ----------
    people
        Index participant id; one row a person.
    column
        ``--group-column``, in any case; ``None`` where no group was named.
    label
        ``--control-label``, in any case; ``None`` where the column's own word shall tell.
    source
        Where the people stand, for messages.

    Returns
    -------
    ControlGroup or None
        ``None`` without a column.

    Raises
    ------
    UsageError
        If there is no such column, it has no such word, or none of its words, or several, are
        known to mean controls.
    """
    if column is None:
        return None
    words = _column(people, column, source)
    name = str(words.name)
    counts = {str(word): int(n) for word, n in words.value_counts().sort_index().items()}
    is_label = [label] if label in counts else [w for w in counts if _is_control(w, label)]
    if len(is_label) != 1:
        raise UsageError(_no_label(name, label, counts, is_label, source))
    n_without = int(words.isna().sum())
    return ControlGroup(
        column=name,
        label=is_label[0],
        controls=frozenset(str(person) for person in words.index[words == is_label[0]]),
        counts={**counts, **({MISSING: n_without} if n_without else {})},
    )


def group_candidates(people: pd.DataFrame, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Columns that look like a group column; one is told of, never used unasked.

    Parameters
    ----------
    people
        One row a person.
    names
        How such columns are called, in lower case.

    Returns
    -------
    dict
        Column to its words, two at least, sorted.
    """
    known = frozenset(names)
    found = {
        str(name): tuple(sorted(str(word) for word in people[name].dropna().unique()))
        for name in people.columns
        if str(name).lower() in known
    }
    return {name: words for name, words in found.items() if len(words) > 1}


def trainees_of(
    visits: Mapping[str, Set[str]],
    *,
    controls: Set[str] | None,
    trained_sites: Iterable[str],
    least: int,
) -> tuple[frozenset[str], str]:
    """Who of the eligible participants models are fitted on.

    Parameters
    ----------
    visits
        Eligible participant to the sites of their usable scans.
    controls
        Participants known to be controls; ``None`` where nobody asked for them.
    trained_sites
        Each needs ``least`` controls.
    least
        ``--min-per-site``.

    Returns
    -------
    tuple
        The participants, and a sentence where everybody is taken because a site has too few
        controls; empty otherwise.
    """
    everybody = frozenset(visits)
    if controls is None:
        return everybody, ""
    chosen = everybody & controls
    counts = {site: sum(site in visits[one] for one in chosen) for site in trained_sites}
    short = {site: count for site, count in counts.items() if count < least}
    if not short:
        return chosen, ""
    found = ", ".join(f"{site} has {count}" for site, count in short.items())
    return everybody, (
        f"models are fitted on all {len(everybody)} eligible participants, not on controls "
        f"alone, for {least} controls a site are needed (--min-per-site) and {found}. What "
        "patients of one site have in common may pass for the scanner's doing and be taken out, "
        "or be put into scans of the other sites. Take these sites' scans out of the study, or "
        "lower --min-per-site"
    )


def _column(people: pd.DataFrame, column: str, source: str) -> pd.Series:
    """The column as words without blanks around them; NA where there is none."""
    lower = {str(name).lower(): name for name in reversed(people.columns)}
    found = column if column in people.columns else lower.get(column.lower())
    if found is None:
        there = ", ".join(str(name) for name in people.columns) or "none"
        message = f"--group-column {column}: no such column in {source}; columns there: {there}"
        raise UsageError(message)
    words = people[found].astype("string").str.strip()
    return words.where(words != "").rename(str(found))


def _is_control(word: str, label: str | None) -> bool:
    if label is not None:
        return word.lower() == label.strip().lower()
    return word.lower().replace("_", " ").replace("-", " ") in CONTROL_WORDS


def _no_label(
    column: str, label: str | None, counts: Mapping[str, int], found: list[str], source: str
) -> str:
    shown = [f"{word} ({n})" for word, n in list(counts.items())[:_SHOWN]]
    there = ", ".join([*shown, *(["..."] if len(counts) > _SHOWN else [])]) or "none"
    if label is not None and not found:
        return f"--control-label {label}: not in column {column} of {source}, which has {there}"
    which = "no word in it is known to mean controls"
    if found:
        which = f"several words in it mean controls: {', '.join(found)}"
    words = f"--group-column {column}: {which}; name one by --control-label"
    return f"{words}; {source} has {there}"
