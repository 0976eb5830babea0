"""Single people: who deviates, who is told to be a case, and whether published maps agree."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Paragraph, make_table
from bids_harmonize.report.group_disorderarms import (
    ALL_SITES,
    arms_of,
    best_arm,
    pooled_row,
    rows_of_arm,
)
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    MISSING,
    is_number,
    number,
    p_value,
    percent,
    percent_interval,
    with_interval,
)

_MOST_DIFFERENT = 5
_GLOBAL_CAVEAT = (
    "The global AUC compares people of different sites too and is not interpretable: where the "
    "share of cases differs between sites, knowing the site raises it. It stands here to be seen "
    "beside the AUC within sites, not to be reported."
)


def deviation_blocks(inputs: GroupInputs) -> list[Block]:
    """How many controls and cases lie beyond what is expected of a control.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        Two tables, or a paragraph.
    """
    table = inputs.tables.get("normative")
    if table is None:
        text = (
            "There is no group_normative.tsv: there are too few controls (of --group-column) to "
            "say what is expected of one, so nobody's deviation is known."
        )
        return [Paragraph(text, "absent")]
    rows: list[list[str | Cell]] = [
        [
            Cell(arm, "strong"),
            *(percent(_of_group(table, arm, group)["share_beyond"].median()) for group in _GROUPS),
            *(number(_of_group(table, arm, group)["sd_deviation"].median()) for group in _GROUPS),
        ]
        for arm in arms_of(table)
    ]
    return [
        make_table(
            "People who deviate from what is expected of a control",
            {
                "arm": False, "controls beyond 1.96": True, "cases beyond 1.96": True,
                "spread of controls": True, "spread of cases": True,
            },
            rows,
            reading="Share of people, of the median feature, that lie more than 1.96 standard "
            "deviations of controls from what a model of other controls expects of their age and "
            "covariates; 5 % by chance. Spread: standard deviation of the deviations, 1 for "
            "controls if the model fits.",
        ),
        _most_different(table),
    ]  # fmt: skip


_GROUPS = ("controls", "cases")


def _of_group(table: pd.DataFrame, arm: str, group: str) -> pd.DataFrame:
    own = rows_of_arm(table, arm)
    return own[own["group"] == group]


def _most_different(table: pd.DataFrame) -> Block:
    arm = best_arm(table)
    controls, cases = (_of_group(table, arm, group) for group in _GROUPS)
    apart = (cases["share_beyond"] - controls["share_beyond"]).dropna()
    order = apart.abs().sort_values(ascending=False, kind="stable").index[:_MOST_DIFFERENT]
    rows: list[list[str | Cell]] = [
        [
            Cell(str(name), "strong"),
            *(
                percent_interval(*frame.loc[name, ["share_beyond", "low", "high"]])
                for frame in (controls, cases)
            ),
        ]
        for name in order
    ]
    return make_table(
        f"Where most more or fewer cases than controls deviate (arm {arm})",
        {"feature": False, "controls beyond 1.96": True, "cases beyond 1.96": True},
        rows,
        reading=f"The {len(rows)} features with the largest difference of {len(apart)}, so "
        "they look larger than they are. Intervals: 95 %.",
    )


def prediction_blocks(inputs: GroupInputs) -> list[Block]:
    """Whether a person of a site that nobody learnt from is told to be a case.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A table, and a folded one by site; a paragraph where nobody was asked.
    """
    table = inputs.tables.get("classification")
    if table is None:
        text = (
            "There is no group_classification.tsv: no site has enough cases and controls (of "
            "--group-column) to be left out, so nobody was told to be a case or a control."
        )
        return [Paragraph(text, "absent")]
    return [_prediction_table(table), _by_site(table)]


def _prediction_table(table: pd.DataFrame) -> Block:
    models: list[object] = list(dict.fromkeys(table["model"])) if "model" in table else [None]
    rows: list[list[str | Cell]] = []
    for arm in arms_of(table):
        for model in models:
            row = pooled_row(table, arm, model)
            if row is None:
                continue
            own = rows_of_arm(table, arm)
            n_sites = own.loc[own["held_out_site"] != ALL_SITES, "held_out_site"].nunique()
            rows.append(
                [
                    Cell(arm if len(models) == 1 else f"{arm}, {model}", "strong"),
                    str(n_sites),
                    *(_whole(row[name]) for name in ("n_cases", "n_controls", "n_calibration")),
                    with_interval(row["auc"], row["low"], row["high"]),
                    p_value(row["p_permutation"]),
                    Cell(number(row["auc_global"]), "muted"),
                ]
            )
    return make_table(
        "Is a case told from a control at a site that nobody learnt from?",
        {
            "arm": False, "sites": True, "cases": True, "controls": True, "given": True,
            "AUC within sites": True, "p": True,
            "global AUC (not interpretable)": True,
        },
        rows,
        reading="Each site is left out in turn. AUC: how often a case scores higher than a "
        "control of the same site; .5 by chance. Given: controls, half of each site's, whom the "
        "arms that must know the site may see; they are not asked in any arm. p: cases and "
        "controls dealt anew within sites, everything fitted again. The interval takes the models "
        f"as they are, and is a little narrow. {_network_words(models)}{_GLOBAL_CAVEAT}",
    )  # fmt: skip


def _network_words(models: list[object]) -> str:
    if "network" not in models:
        return ""
    return (
        "The network is not trained again for p, which is a little too small. It sees images that "
        "are not adjusted for age or sex, so that it may tell by these. Elsewhere on the page the "
        "regression (logistic) is meant. "
    )


def _by_site(table: pd.DataFrame) -> Block:
    arms = arms_of(table)
    sites = sorted(set(table["held_out_site"]) - {ALL_SITES})
    rows: list[list[str | Cell]] = []
    for site in sites:
        cells: list[str | Cell] = [Cell(str(site))]
        own = table[table["held_out_site"] == site].drop_duplicates("arm").set_index("arm")
        cells += [_whole(own["n_cases"].iloc[0]), _whole(own["n_controls"].iloc[0])]
        for arm in arms:
            there = arm in own.index
            row = own.loc[arm] if there else None
            cells.append(
                MISSING if row is None else with_interval(row["auc"], row["low"], row["high"])
            )
        rows.append(cells)
    return make_table(
        "The same by site that was left out",
        {"site": False, "cases": True, "controls": True, **dict.fromkeys(arms, True)},
        rows,
        reading="AUC with its 95 % interval; none where a site has too few people or all are told "
        "rightly. Single sites are small: do not read much into the best or the worst.",
        folded=True,
    )


def _whole(value: float) -> str:
    return f"{value:.0f}" if is_number(value) else MISSING


def map_blocks(inputs: GroupInputs) -> list[Block]:
    """Correlation with published effects; nothing where none were given.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A table, or none.
    """
    table = inputs.tables.get("comparedmaps")
    if table is None:
        return []
    rows: list[list[str | Cell]] = [
        [
            Cell(str(name), "strong"),
            arm,
            _whole(row["n_regions"]),
            number(row["r"]),
            p_value(row["p_permutation"]),
        ]
        for name in dict.fromkeys(table["map"])
        for arm in arms_of(table)
        for _, row in table[(table["map"] == name) & (table["arm"] == arm)].iterrows()
    ]
    return [
        make_table(
            "Do the differences lie where published maps have them?",
            {"map": False, "arm": False, "regions": True, "r": True, "p": True},
            rows,
            reading="Pearson's correlation of d over the regions that both have. p: regions dealt "
            "anew, as if they were independent; neighbours and the two hemispheres are not, so p "
            "is too small. A published map may share people with this study.",
        )
    ]
