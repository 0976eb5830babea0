"""Whether sites agree on what differs: the effect at each, and its mean over them."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_disorderarms import (
    ALL_SITES,
    arms_of,
    best_arm,
    called,
    ranked,
    rows_of_arm,
)
from bids_harmonize.report.group_disorderfigures import draw_forest
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    MISSING,
    is_number,
    listing,
    number,
    p_value,
    percent,
    with_interval,
)

_MOST_LISTED = 300
_SAME = 5e-3


def site_blocks(inputs: GroupInputs, effects: pd.DataFrame) -> list[Block]:
    """The forest plot of the most different feature, and the means of all features.

    Parameters
    ----------
    inputs
        What is on disk.
    effects
        group_casecontrol.tsv.

    Returns
    -------
    list of Block
        A paragraph where no site has enough people.
    """
    table = inputs.tables.get("meta")
    names = ranked(effects, best_arm(effects))
    if table is None:
        text = (
            "There is no group_meta.tsv: no site has enough cases and controls (of "
            "--group-column) for a comparison of its own, so whether sites agree is not known."
        )
        return [Paragraph(text, "absent")]
    return [_forest(table, names), *_pooled_tables(table, names)]


def over_sites_claims(inputs: GroupInputs, effects: pd.DataFrame) -> list[str]:
    """What may not be claimed of sites in general, of the largest difference that was found.

    Parameters
    ----------
    inputs
        What is on disk.
    effects
        group_casecontrol.tsv.

    Returns
    -------
    list of str
        A sentence; empty where nothing differs, or the mean over sites shows it too.
    """
    found = called(effects, best_arm(effects))
    if not found:
        return []
    row = _pooled_over_sites(inputs, found[0])
    if row is None or not is_number(row["low"]):
        return [
            f"That {found[0]} differs at sites in general: it takes two sites with enough people "
            "of each group."
        ]
    if row["low"] <= 0 <= row["high"]:
        return [
            f"That {found[0]} differs at sites in general: its mean over sites is "
            f"{with_interval(row['d'], row['low'], row['high'])}, an interval that holds 0."
        ]
    return []


def _pooled_over_sites(inputs: GroupInputs, feature: str) -> pd.Series | None:
    """The feature's mean over sites in the best arm; ``None`` where there is none."""
    table = inputs.tables.get("meta")
    if table is None:
        return None
    own = _of_feature(table, best_arm(table), feature)
    own = own[own["site"] == ALL_SITES]
    return own.iloc[0] if len(own) else None


def _of_feature(table: pd.DataFrame, arm: str, feature: str) -> pd.DataFrame:
    return table[(table["arm"] == arm) & (table["feature"] == feature)]


def _forest(table: pd.DataFrame, names: list[str]) -> Block:
    arm = best_arm(table)
    feature = next((name for name in names if len(_of_feature(table, arm, name))), None)
    if feature is None:
        text = f"group_meta.tsv holds no feature of the arm {arm}, so no site's effect is drawn."
        return Paragraph(text, "absent")
    rows = _of_feature(table, arm, feature)
    pooled = rows[rows["site"] == ALL_SITES]
    return Figure(
        title=f"{feature} at every site",
        source=draw_forest(rows),
        alt="The difference at each site with its interval, and the mean over sites.",
        reading=f"The most different feature, arm {arm}; behind each site its cases and controls."
        f" {_mean_words(pooled)} A site of few people says little by itself: read the diamond, "
        "and whether most sites lie on its side of 0.",
    )


def _mean_words(pooled: pd.DataFrame) -> str:
    if pooled.empty:
        return "No mean over sites was computed."
    row = pooled.iloc[0]
    value = with_interval(row["d"], row["low"], row["high"])
    if not is_number(row["low"]):
        return (
            f"Mean {value}, without an interval: that takes two sites. Whether sites agree is not "
            "known."
        )
    return (
        f"Diamond: random-effects mean {value}, p {_equals(row['p'])}; variance of the true "
        f"effect between sites (tau\N{SUPERSCRIPT TWO}) {number(row['tau2'], 3)}; share of the "
        f"spread that is no chance (I\N{SUPERSCRIPT TWO}) {percent(row['i2'], 0)}."
    )


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _pooled_tables(table: pd.DataFrame, names: list[str]) -> list[Block]:
    """One table for all arms with the same figures; a site's own effect does not depend on it."""
    pooled = table[table["site"] == ALL_SITES]
    if pooled.empty:
        return []
    groups: list[list[str]] = []
    for arm in arms_of(pooled):
        own = rows_of_arm(pooled, arm)
        for group in groups:
            if _alike(own, rows_of_arm(pooled, group[0])):
                group.append(arm)
                break
        else:
            groups.append([arm])
    return [_pooled_table(rows_of_arm(pooled, group[0]), names, group) for group in groups]


def _alike(own: pd.DataFrame, other: pd.DataFrame) -> bool:
    columns = ["d", "low", "high", "tau2"]
    if not own.index.equals(other.index):
        return False
    apart = (own[columns] - other[columns]).abs().max().max()
    return bool((own[columns].isna() == other[columns].isna()).all().all()) and (
        pd.isna(apart) or bool(apart < _SAME)
    )


def _pooled_table(own: pd.DataFrame, names: list[str], arms: list[str]) -> Block:
    rows: list[list[str | Cell]] = []
    for name in [name for name in names if name in own.index][:_MOST_LISTED]:
        row = own.loc[name]
        rows.append(
            [
                Cell(name),
                f"{row['n_sites']:.0f}" if is_number(row["n_sites"]) else MISSING,
                with_interval(row["d"], row["low"], row["high"]),
                p_value(row["p"]),
                percent(row["i2"], 0),
                number(row["tau2"], 3),
            ]
        )
    more = len(own) - len(rows)
    return make_table(
        f"Mean over sites of every feature (arm {listing(arms)})",
        {
            "feature": False, "sites": True, "mean d": True, "p": True,
            "I\N{SUPERSCRIPT TWO}": True, "tau\N{SUPERSCRIPT TWO}": True,
        },
        rows,
        reading="Random-effects mean of one effect a site; p is not corrected for the number of "
        "features."
        + (
            " These arms agree because nothing that a site does to all its people changes a "
            "comparison within it."
            if len(arms) > 1
            else ""
        )
        + (f" The other {more} stand in group_meta.tsv." if more > 0 else ""),
        folded=True,
    )  # fmt: skip
