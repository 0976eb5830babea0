"""What can be told before hours of work: whether disorder will find what it is asked for."""

from pathlib import Path

from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.stages.case_control.cohort import case_words
from bids_harmonize.stages.case_control.covariates import TIV, find_covariates
from bids_harmonize.stages.case_control.published import PublishedMap, read_published


def check_disorder(study: Study, settings: Settings) -> None:
    """Refuse words, columns and maps that the stage could not use.

    Parameters
    ----------
    study
        With a group column.
    settings
        Of the run.

    Raises
    ------
    UsageError
        As :func:`~bids_harmonize.stages.case_control.cohort.make_cohort` and
        :func:`read_maps` would later.
    """
    group = study.control_group
    if group is not None:
        case_words(group.counts, group.label, settings.group.case_label, group.column)
    wanted = [name for name in settings.group.covariates or () if name.lower() != TIV]
    if wanted:
        find_covariates(study.participants.astype(object), wanted)
    read_maps(settings)


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
