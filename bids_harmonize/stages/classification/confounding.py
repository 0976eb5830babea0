"""Whether the sites differ in who was scanned, and what a reader must be warned of."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.metrics.siteness import SHORTCUT_LIMIT, SHORTCUTS
from bids_harmonize.stages.classification.shortcuts import participant_covariates
from bids_harmonize.stats import correlation_ratio, cramers_v, holm
from bids_harmonize.tables.features import GROUP_COLUMNS

CRAMERS_V_LIMIT: Final = 0.3
"""A medium effect (w of a two-valued variable; Cohen 1988, ISBN 0805802835)."""
CORRELATION_RATIO_LIMIT: Final = 0.06
"""A medium effect (f = .25; Cohen 1988, ISBN 0805802835)."""
CONFOUNDING_P: Final = 0.05
"""In a small study chance alone reaches the limits, so both must be met; of Holm's p."""

_SHORTCUT_WORDS = {
    "covariates": "age and sex alone",
    "metadata": "voxel size, matrix and the like alone",
    "headmask": "the outline of the head alone",
    "headwithoutbrain": "the head without the brain",
    "histogram": "the intensity histogram alone",
}


def confounding_rows(study: Study) -> list[dict[str, Any]]:
    """Rows of group_siteconfounding.tsv.

    Parameters
    ----------
    study
        Participants and sites.

    Returns
    -------
    list of dict
        One row each for age and sex of the participants that were trained on, and for group
        columns of all eligible ones, as far as ``participants.tsv`` has them; ``p_holm`` is
        corrected for the number of rows. The warning needs a medium effect and a small ``p_holm``.
    """
    people, sites = _visits(study, study.trainees)
    known = participant_covariates(study)
    rows = []
    if "age" in known:
        found = correlation_ratio(known["age"].loc[people].to_numpy(), sites)
        rows.append(("age", "correlation_ratio", found, CORRELATION_RATIO_LIMIT))
    words = {"sex": (known["sex"], people, sites)} if "sex" in known else {}
    eligible, their_sites = _visits(study, study.eligible)
    words |= {
        name: (study.participants[column].astype(object), eligible, their_sites)
        for name, column in _group_columns(study).items()
    }
    for name, (column, who, where) in words.items():
        labels = [None if pd.isna(cell) else str(cell) for cell in column.loc[who]]
        rows.append((name, "cramers_v", cramers_v(labels, where), CRAMERS_V_LIMIT))
    corrected = holm([found.p for _, _, found, _ in rows])
    return [
        {
            "variable": name,
            "statistic": statistic,
            "value": found.value,
            "p": found.p,
            "p_holm": float(p_holm),
            "n": found.n,
            # Comparisons with NaN are false: nothing to tell is no warning.
            "warning": bool(found.value >= limit and p_holm < CONFOUNDING_P),
        }
        for (name, statistic, found, limit), p_holm in zip(rows, corrected, strict=True)
    ]


def _visits(study: Study, participants: Collection[str]) -> tuple[list[str], list[str]]:
    """Person and site of every pair of them that has a usable scan."""
    scans = study.usable_scans(participants)
    pairs = sorted({(scan.participant_id, scan.site) for scan in scans})
    return [person for person, _ in pairs], [site for _, site in pairs]


def _group_columns(study: Study) -> dict[str, str]:
    """What is told of a column to the column: by its usual names, and the one that was named."""
    lower = {str(name).lower(): str(name) for name in study.participants.columns}
    found = {name: lower[name] for name in GROUP_COLUMNS if name in lower}
    if study.control_group is not None:
        found.setdefault(study.control_group.column.lower(), study.control_group.column)
    return found


def study_warnings(
    study: Study, accuracy: Sequence[Mapping[str, Any]], confounding: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """What a reader of the site accuracy must know.

    Parameters
    ----------
    study
        Sites that are left out.
    accuracy
        Rows of group_siteclassification.tsv.
    confounding
        Rows of group_siteconfounding.tsv.

    Returns
    -------
    tuple of str
        One sentence each.
    """
    told = [
        f"{_SHORTCUT_WORDS[row['model']]} ({row['model']}) names the site of "
        f"{row['balanced_accuracy']:.0%} (balanced; limit {SHORTCUT_LIMIT:.0%}): the network's "
        "accuracy does not show by itself that it reads the brain's image"
        for row in accuracy
        if row["model"] in SHORTCUTS
        and row["split"] == "validation"
        and row["balanced_accuracy"] > SHORTCUT_LIMIT
    ]
    told += [f"site {site} takes no part: {reason}" for site, reason in study.left_out.items()]
    limits = {"cramers_v": CRAMERS_V_LIMIT, "correlation_ratio": CORRELATION_RATIO_LIMIT}
    names = {"cramers_v": "Cramer's V", "correlation_ratio": "eta squared"}
    told += [
        f"site goes together with {row['variable']} ({names[row['statistic']]} "
        f"{row['value']:.2f}, limit {limits[row['statistic']]:g}; p {row['p_holm']:.1g} by Holm): "
        f"the sites scanned different people, and {_danger(study, row['variable'])}"
        for row in confounding
        if row["warning"]
    ]
    return tuple(told)


def _danger(study: Study, variable: str) -> str:
    """What a difference between the people of the sites may do."""
    if study.held_back and variable in _group_columns(study):
        return (
            "what patients and controls of all sites differ in holds a difference between sites, "
            "though the models are fitted on controls alone"
        )
    return "the network may tell the people apart, not the scanners"
