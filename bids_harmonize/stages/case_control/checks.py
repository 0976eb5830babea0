"""What can be told before hours of work: whether cases and controls can be compared at all."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.stages.case_control.cohort import case_words, make_cohort
from bids_harmonize.stages.case_control.covariates import TIV, find_covariates
from bids_harmonize.stages.case_control.given import read_given, with_given
from bids_harmonize.stages.case_control.published import PublishedMap, read_published
from bids_harmonize.stages.feature_table.study import FeatureStudy


def why_not(check: Callable[[], object], settings: Settings) -> str | None:
    """What a check found, in words; raised where the user asked for what cannot be.

    Parameters
    ----------
    check
        One of those below.
    settings
        Of the run: who names stages, or an option of theirs, is told by an error.

    Returns
    -------
    str or None
        Why the stages are left out of a run that does all it can; ``None`` where they can run.

    Raises
    ------
    UsageError, UnusableDataError
        Of the check.
    """
    group = settings.group
    asked = group.stages, group.case_label, group.covariates, group.compare_map
    try:
        check()
    except (UsageError, UnusableDataError) as error:
        if any(asked):
            raise
        return str(error)
    return None


def check_images(study: Study, settings: Settings) -> None:
    """Refuse words, columns and maps that cannot be used on a study of images.

    Parameters
    ----------
    study
        With a group column.
    settings
        Of the run.

    Raises
    ------
    UsageError
        As ``make_cohort`` and :func:`read_maps` would later.
    """
    group = study.control_group
    if group is not None:
        case_words(group.counts, group.label, settings.group.case_label, group.column)
    wanted = [name for name in settings.group.covariates or () if name.lower() != TIV]
    if wanted:
        find_covariates(study.participants.astype(object), wanted)
    read_maps(settings)


def check_tables(studies: Sequence[FeatureStudy], settings: Settings) -> None:
    """Refuse tables of features in which cases and controls cannot be compared.

    Parameters
    ----------
    studies
        One a table, with a group column.
    settings
        Of the run.

    Raises
    ------
    UsageError, UnusableDataError
        As ``make_cohort``, ``with_given`` and :func:`read_maps`.
    """
    read_maps(settings)
    found = read_given(settings)
    for study in studies:
        with_given(make_cohort(study, settings), found)


def read_maps(settings: Settings) -> tuple[PublishedMap, ...]:
    """The tables of ``--compare-map``.

    Parameters
    ----------
    settings
        Of the run.

    Returns
    -------
    tuple of PublishedMap
        In the order given.

    Raises
    ------
    UsageError
        If one cannot be used.
    """
    maps = settings.group.compare_map
    return tuple(read_published(name, Path(path)) for name, path in maps.items())
