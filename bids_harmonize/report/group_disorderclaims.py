"""What may be claimed of the disorder's figures, and what may not: sentences, and a finding."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Finding, Paragraph
from bids_harmonize.report.group_disorderarms import (
    arms_of,
    best_arm,
    called,
    case_shares,
    named,
    pooled_row,
    ranked,
    rows_of_arm,
)
from bids_harmonize.report.group_disordersites import over_sites_claims
from bids_harmonize.report.group_disordertold import (
    CHANCE_AUC,
    POOR_AUC,
    auc_words,
    is_shown,
    not_told_claims,
    told_claims,
)
from bids_harmonize.report.group_disordervoxels import voxel_difference
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import texts
from bids_harmonize.report.group_words import (
    count,
    is_number,
    is_true,
    listing,
    number,
    percent,
    with_interval,
)

_SMALL_D = 0.5  # Cohen 1988, ISBN 0805802835: the border of medium
_UNEVEN = 0.2
"""Difference in the share of cases between sites that is worth a word."""


def claim_blocks(inputs: GroupInputs, table: pd.DataFrame) -> list[Block]:
    """What may be claimed, and what may not.

    Parameters
    ----------
    inputs
        What is on disk.
    table
        group_casecontrol.tsv.

    Returns
    -------
    list of Block
        Two paragraphs, which depend on the figures.
    """
    may = [
        _difference(inputs, table),
        *_shared(table),
        *_voxels_too(inputs, table),
        *told_claims(inputs, table),
    ]
    may_not = [
        *_one_arm_only(table),
        *over_sites_claims(inputs, table),
        *not_told_claims(inputs, table),
        *_raw(inputs, table),
        *_uneven(inputs),
        "A difference between groups is no cause: medication, motion in the scanner and who was "
        "asked to take part go with the group too.",
    ]
    return [
        Paragraph(f"What may be claimed: {' '.join(may)}", "lead"),
        Paragraph(f"What may not be claimed: {' '.join(may_not)}"),
    ]


def disorder_sentence(inputs: GroupInputs) -> str:
    """Who was compared, for the page's first paragraph; empty where nobody was."""
    table = _compared(inputs)
    if table is None:
        return ""
    arms = arms_of(table)
    first = rows_of_arm(table, best_arm(table)).iloc[0]
    people = "Cases"
    if is_number(first["n_cases"]) and is_number(first["n_controls"]):
        people = count(int(first["n_cases"]), "case")
        controls = count(int(first["n_controls"]), "control")
        return (
            f"{people} were compared with {controls}, the site being dealt with in "
            f"{count(len(arms), 'way')} ({listing(arms)})."
        )
    return f"{people} were compared with controls ({listing(arms)})."


def disorder_findings(inputs: GroupInputs) -> list[Finding]:
    """How many features differ and whether people are told, in a line or two.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Finding
        Empty where nothing was compared.
    """
    table = _compared(inputs)
    if table is None:
        return []
    best = best_arm(table)
    n, voxels = len(called(table, best)), voxel_difference(inputs)
    title = _title(n, len(rows_of_arm(table, best)), voxels_differ=bool(voxels))
    others = [f"{arm} {len(called(table, arm))}" for arm in arms_of(table) if arm != best]
    text = (
        f"False discovery rate 5 %, arm {best}"
        + (f" (others: {', '.join(others)})" if others else "")
        + f". {'Largest' if n else 'The largest, not shown to differ from 0'}: "
        f"{_effect(table, best, ranked(table, best)[0])}."
    )
    told = [text, *([voxels] if voxels else []), *_told_short(inputs, best)]
    return [*_wrong_way(inputs, best), Finding("note", title, " ".join(told))]


def _title(n_called: int, n_features: int, *, voxels_differ: bool) -> str:
    if n_called:
        verb = "differs" if n_called == 1 else "differ"
        return f"{n_called} of {n_features} features {verb} between cases and controls"
    if voxels_differ:
        return f"No feature of {n_features} differs between cases and controls, but voxels do"
    return "No difference between cases and controls was shown"


def _compared(inputs: GroupInputs) -> pd.DataFrame | None:
    table = inputs.tables.get("casecontrol")
    return table if table is not None and table["d"].notna().any() else None


def _effect(table: pd.DataFrame, arm: str, feature: str) -> str:
    row = rows_of_arm(table, arm).loc[feature]
    return f"{feature}, d {with_interval(row['d'], row['low'], row['high'])}"


def _difference(inputs: GroupInputs, table: pd.DataFrame) -> str:
    best = best_arm(table)
    voxels = voxel_difference(inputs)
    own = rows_of_arm(table, best)
    found, largest = called(table, best), _effect(table, best, ranked(table, best)[0])
    if not found:
        shown = (
            f". {voxels} They are of smoothed density, features of whole regions"
            if voxels
            else ": no difference was shown, which does not prove that there is none"
        )
        return (
            f"No feature of {len(own)} differs between cases and controls at a false discovery "
            f"rate of 5 % (arm {best}){shown}. The largest is {largest}; differences within the "
            "intervals stay possible."
        )
    size = float(own.loc[found, "d"].abs().max())
    overlap = (
        f" All are small (d below {_SMALL_D:g}): most cases lie among the controls."
        if size < _SMALL_D
        else ""
    )
    verb = "differs" if len(found) == 1 else "differ"
    return (
        f"{len(found)} of {len(own)} features {verb} between cases and controls on average, at a "
        f"false discovery rate of 5 % in the arm {best}; the largest is {largest}. About one in "
        f"twenty such findings is expected to be false.{overlap}"
    )


def _shared(table: pd.DataFrame) -> list[str]:
    arms, best = arms_of(table), best_arm(table)
    if len(arms) < 2 or not called(table, best):
        return []
    everywhere = set.intersection(*(set(called(table, arm)) for arm in arms))
    if not everywhere:
        return ["None of them differs in every arm."]
    verb = "differs" if len(everywhere) == 1 else "differ"
    return [f"{len(everywhere)} of them {verb} in every arm."]


def _voxels_too(inputs: GroupInputs, table: pd.DataFrame) -> list[str]:
    """What voxels show where features differ; where none does, that stands in the first words."""
    words = voxel_difference(inputs)
    return [words] if words and called(table, best_arm(table)) else []


def _one_arm_only(table: pd.DataFrame) -> list[str]:
    """Findings of a single arm are named as that arm's."""
    arms = arms_of(table)
    if len(arms) == 1:
        return [
            f"Only the arm {arms[0]} is here: whether another way to deal with the site would "
            "show the same is not known."
        ]
    found = []
    for arm in arms:
        others = set().union(*(called(table, other) for other in arms if other != arm))
        alone = [name for name in called(table, arm) if name not in others]
        if alone and arm == "raw":
            found.append(
                f"Found in the arm raw alone, where the site may pass for the disorder: "
                f"{named(alone)}."
            )
        elif alone:
            found.append(f"Found in the arm {arm} alone, and that arm's finding: {named(alone)}.")
    return found


def _told_short(inputs: GroupInputs, best: str) -> list[str]:
    told = inputs.tables.get("classification")
    row = None if told is None else pooled_row(told, best)
    if row is None:
        return []
    words = f"Cases told from controls at sites left out: {auc_words(row)}"
    if not is_shown(row):
        return [f"{words}; not shown to be better than chance."]
    if row["auc"] < POOR_AUC:
        return [f"{words}; too little for any use on a single person."]
    return [f"{words}."]


def _wrong_way(inputs: GroupInputs, best: str) -> list[Finding]:
    told = inputs.tables.get("classification")
    row = None if told is None else pooled_row(told, best)
    if row is None or not is_number(row["high"]) or row["high"] >= CHANCE_AUC:
        return []
    text = (
        f"{auc_words(row)} at sites left out. Nobody guesses that badly by chance: sites differ "
        "in what goes with the group, or information about the asked people reached the training."
    )
    return [Finding("caution", "Cases are told from controls worse than by chance", text)]


def _raw(inputs: GroupInputs, table: pd.DataFrame) -> list[str]:
    if "raw" not in arms_of(table):
        return []
    words = "The arm raw stands there to show what the site does, not to be believed"
    shares = inputs.tables.get("siteeffects")
    if shares is None or "raw" not in arms_of(shares):
        return [f"{words}."]
    own = rows_of_arm(shares, "raw")
    site, chance = own["r2_site"].median(), own["r2_site_chance"].median()
    return [
        f"{words}: there {percent(site)} of the median feature's variance goes with the site "
        f"(by chance {percent(chance)})."
    ]


def _uneven(inputs: GroupInputs) -> list[str]:
    """Where cases are many at one site and few at another, the site can pass for the disorder."""
    found = []
    shares = case_shares(inputs)
    if shares is not None and shares.max() - shares.min() >= _UNEVEN:
        found.append(
            f"The share of cases differs between sites ({percent(shares.min(), 0)} at "
            f"{shares.idxmin()}, {percent(shares.max(), 0)} at {shares.idxmax()}): what a site "
            "does can pass for the disorder wherever the site is not in the model."
        )
    strength = _cramers_v(inputs)
    if strength:
        found.append(
            f"Site and group go together ({strength}): taking one out takes out part of the other."
        )
    return found


def _cramers_v(inputs: GroupInputs) -> str:
    table = inputs.tables.get("siteconfounding")
    column = inputs.settings.group.group_column
    if table is None or not column:
        return ""
    own = table[
        (texts(table, "variable").str.lower() == str(column).lower())
        & texts(table, "warning").map(is_true)
    ]
    return f"Cramér's V {number(own['value'].iloc[0])}" if len(own) else ""
