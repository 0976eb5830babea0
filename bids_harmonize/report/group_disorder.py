"""Section "Disorder" of the group page: cases against controls, arms side by side."""

import pandas as pd

from bids_harmonize.report.group_blocks import (
    Block,
    Cell,
    Figure,
    Paragraph,
    Section,
    Tone,
    make_table,
)
from bids_harmonize.report.group_disorderarms import (
    ARM_WORDS,
    CALLED,
    arms_of,
    best_arm,
    called,
    comparison_words,
    has_given_combat,
    pooled_row,
    ranked,
    rows_of_arm,
    site_counts,
)
from bids_harmonize.report.group_disorderclaims import claim_blocks
from bids_harmonize.report.group_disorderfigures import draw_ranked, draw_shares
from bids_harmonize.report.group_disorderpeople import (
    deviation_blocks,
    map_blocks,
    prediction_blocks,
)
from bids_harmonize.report.group_disorderplaces import place_blocks
from bids_harmonize.report.group_disordersites import site_blocks
from bids_harmonize.report.group_disordervoxels import voxel_blocks
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    MISSING,
    count,
    is_number,
    listing,
    p_value,
    percent,
    with_interval,
)

_KEY, _TITLE = "disorder", "Disorder"
_MOST_DRAWN = 25
_MOST_LISTED = 300
_D_READING = (
    "d: adjusted difference, cases minus controls, in standard deviations of what the model "
    "leaves; above 0, cases have more. Intervals: 95 %."
)


def disorder_section(inputs: GroupInputs) -> Section:
    """What differs between cases and controls, and what may be claimed of it.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where nothing was compared.
    """
    table = inputs.tables.get("casecontrol")
    if table is None or not table["d"].notna().any():
        text = (
            "There is no group_casecontrol.tsv with a difference in it: the stage disorder has "
            "not run here, so cases were not compared with controls. It needs --group-column, "
            "the column that tells controls from others."
        )
        return Section(_KEY, _TITLE, (Paragraph(text, "absent"),))
    return Section(
        _KEY,
        _TITLE,
        (
            Paragraph(_who(inputs, table)),
            *claim_blocks(inputs, table),
            _arms_table(inputs, table),
            *_effect_blocks(table),
            *place_blocks(table),
            *voxel_blocks(inputs),
            *_share_blocks(inputs),
            *site_blocks(inputs, table),
            *deviation_blocks(inputs),
            *prediction_blocks(inputs),
            *map_blocks(inputs),
        ),
    )


def _who(inputs: GroupInputs, table: pd.DataFrame) -> str:
    by_counts: dict[tuple[int, int], list[str]] = {}
    for arm in arms_of(table):
        first = rows_of_arm(table, arm).iloc[0]
        if is_number(first["n_cases"]) and is_number(first["n_controls"]):
            key = (int(first["n_cases"]), int(first["n_controls"]))
            by_counts.setdefault(key, []).append(arm)
    parts = [
        f"{count(cases, 'case was', 'cases were')} compared with {count(controls, 'control')}"
        + (f" (arm {listing(arms)})" if len(by_counts) > 1 else "")
        for (cases, controls), arms in by_counts.items()
    ]
    sentences = [f"{listing(parts)}."] if parts else []
    sites = site_counts(inputs)
    if sites is not None:
        sentences.append(
            f"{count(len(sites), 'site has', 'sites have')} enough of both for a comparison of "
            "its own." if len(sites) == 1 else
            f"{len(sites)} sites have enough of both for a comparison of their own."
        )  # fmt: skip
    sentences += [comparison_words(inputs)]
    if has_given_combat(inputs):
        sentences.append("The ComBat is that of another run, applied and not fitted here.")
    sentences.append("Who was left out, and why, stands in the log.")
    return " ".join(filter(None, sentences))


def _arms_table(inputs: GroupInputs, table: pd.DataFrame) -> Block:
    shares, told = inputs.tables.get("siteeffects"), inputs.tables.get("classification")
    rows: list[list[str | Cell]] = []
    for arm in arms_of(table):
        own = rows_of_arm(table, arm)
        pooled = None if told is None else pooled_row(told, arm)
        site = None if shares is None else rows_of_arm(shares, arm)["r2_site"].median()
        rows.append(
            [
                Cell(arm, "strong"),
                f"{len(called(table, arm))} of {len(own)}",
                percent(site),
                MISSING
                if pooled is None
                else with_interval(pooled["auc"], pooled["low"], pooled["high"]),
                ARM_WORDS.get(arm, MISSING),
            ]
        )
    return make_table(
        "The ways to deal with the site, side by side",
        {
            "arm": False, "features that differ": True, "variance of the site": True,
            "AUC at sites left out": True, "the site is": False,
        },
        rows,
        reading=f"Features with q < {CALLED:g} (false discovery rate within the arm); share of "
        "the median feature's variance that goes with the site, in the values themselves; how "
        "well cases are told from controls at a site that nobody learnt from (.5 by chance). The "
        "arm raw shows what the site does.",
    )  # fmt: skip


def _effect_blocks(table: pd.DataFrame) -> list[Block]:
    arms, best = arms_of(table), best_arm(table)
    names = ranked(table, best)
    shown = names[:_MOST_DRAWN]
    title = "All differences between cases and controls"
    if len(names) > len(shown):
        title = f"The {len(shown)} largest of {len(names)} differences between cases and controls"
    return [
        Figure(
            title=title,
            source=draw_ranked(table, shown, arms),
            alt="Difference of each feature with its interval, one mark an arm, on one scale.",
            reading=f"Largest in the arm {best} first. {_D_READING} Filled marks: q < "
            f"{CALLED:g}. Hollow marks: no difference was shown, which does not prove that "
            "there is none. The largest of many differences are, on average, larger here than "
            "they would be in other people.",
        ),
        _effect_table(table, names),
    ]


def _effect_table(table: pd.DataFrame, names: list[str]) -> Block:
    own = {arm: rows_of_arm(table, arm) for arm in arms_of(table)}
    rows: list[list[str | Cell]] = []
    for name in names[:_MOST_LISTED]:
        cells: list[str | Cell] = [Cell(name)]
        for frame in own.values():
            if name not in frame.index:
                cells += [MISSING] * 3
                continue
            row = frame.loc[name]
            tone: Tone = "strong" if row["q"] < CALLED else ""
            d = with_interval(row["d"], row["low"], row["high"])
            cells += [Cell(d, tone), p_value(row["p"]), Cell(p_value(row["q"]), tone)]
        rows.append(cells)
    more = len(names) - len(rows)
    columns = {"feature": False}
    for arm in own:
        columns |= {f"{arm}: d": True, f"{arm}: p": True, f"{arm}: q": True}
    return make_table(
        f"Differences of {'all' if not more else f'the first {len(rows)} of'} {len(names)} "
        "features in every arm",
        columns,
        rows,
        reading=f"{_D_READING} Bold: q < {CALLED:g}."
        + (f" The other {more} stand in group_casecontrol.tsv." if more else ""),
        folded=True,
    )


def _share_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("siteeffects")
    if table is None:
        text = (
            "There is no group_siteeffects.tsv, so it is not known how much of the variance goes "
            "with the site and how much with the group."
        )
        return [Paragraph(text, "absent")]
    arms = arms_of(table)
    again = (
        " In the arm covariate the values are those of raw: the site stands in the model instead."
        if {"raw", "covariate"} <= set(arms)
        else ""
    )
    figure = Figure(
        title="How much of the variance goes with the site, and how much with the group",
        source=draw_shares(table, arms),
        alt="Two bars an arm: the median feature's share of variance of site and of group.",
        reading="Bar: the median feature; thin line: quartiles over features. Each share is "
        "beyond covariates and beyond the other. Black mark: what sites or groups without any "
        f"effect would explain.{again} A small share of the site means that it hardly shifts the "
        "means; it is no proof that no trace of it is left.",
    )
    rows: list[list[str | Cell]] = [
        [
            Cell(arm, "strong"),
            *(_share(rows_of_arm(table, arm)[name]) for name in ("r2_site", "r2_group")),
        ]
        for arm in arms
    ]
    return [
        figure,
        make_table(
            "The same in numbers",
            {"arm": False, "site, %": True, "group, %": True},
            rows,
            reading="Median feature (quartiles over features).",
            folded=True,
        ),
    ]


def _share(shares: pd.Series) -> str:
    low, median, high = (100 * shares.quantile(share) for share in (0.25, 0.5, 0.75))
    return with_interval(median, low, high, 2 if median < 1 else 1)
