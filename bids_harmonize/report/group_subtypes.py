"""Section "Subtypes" of the group page: whether cases are of several kinds, arms side by side."""

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
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_subtypearms import (
    ALPHA,
    LEAST_ARI,
    NULLS,
    OURS,
    STABILITIES,
    beside,
    best_first,
    chosen_row,
    cluster_sizes,
    comes_again,
    n_clusters,
    rejects,
    searched_arms,
)
from bids_harmonize.report.group_subtypeclaims import claim_blocks
from bids_harmonize.report.group_subtypefigures import draw_stability
from bids_harmonize.report.group_subtypemaps import association_blocks, map_blocks
from bids_harmonize.report.group_subtypenulls import null_blocks
from bids_harmonize.report.group_words import MISSING, is_number, number, p_value

_KEY, _TITLE = "subtypes", "Subtypes"
_METHODS = {
    "hydra": "hydra (max-margin polytope)",
    "som": "som (self-organising map, then k-means)",
}


def subtypes_section(inputs: GroupInputs) -> Section:
    """Whether cases are of several kinds, what speaks for it, and what may be claimed.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where nobody looked.
    """
    if not searched_arms(inputs):
        text = (
            "There is no group_subtypevalidity.tsv with a verdict in it: the stage subtypes has "
            "not run here, so whether cases are of several kinds was not asked. It needs "
            "--group-column, the column that tells controls from others."
        )
        return Section(_KEY, _TITLE, (Paragraph(text, "absent"),))
    return Section(
        _KEY,
        _TITLE,
        (
            *claim_blocks(inputs),
            _verdict_table(inputs),
            *_condition_blocks(inputs),
            *null_blocks(inputs),
            *_stability_figure(inputs),
            *map_blocks(inputs),
            *association_blocks(inputs),
            *_site_table(inputs),
            *_comparators(inputs),
        ),
    )


def _verdict_table(inputs: GroupInputs) -> Block:
    rows: list[list[str | Cell]] = []
    for arm in searched_arms(inputs):
        row, sizes = chosen_row(inputs, arm), cluster_sizes(inputs, arm)
        k = n_clusters(row)
        people = f" ({', '.join(map(str, sizes))})" if len(sizes) > 1 else ""
        rows.append(
            [
                Cell(arm, "strong"),
                Cell(
                    f"{row['verdict']}: {_meaning(row)}",
                    "strong" if row["verdict"] == "discrete" else "",
                ),
                str(sum(sizes)) if sizes else MISSING,
                number(row["n_dimensions"], 0),
                f"{k}{people}",
            ]
        )
    return make_table(
        "The verdict of each arm",
        {
            "arm": False, "verdict": False, "cases": True, "directions": True,
            "clusters (people)": False,
        },
        rows,
        reading="None: cases vary no more than controls. Dimensional: they vary more, but by "
        "degree, without a gap beyond chance. Uncertain: not all conditions for subtypes hold. "
        "Discrete: all do; a subtype is claimed there alone. Directions: in how many cases vary "
        "more than controls who were held out. Clusters: the number that describes the cases best "
        "there (lowest BIC), the largest first.",
    )  # fmt: skip


def _meaning(row: pd.Series) -> str:
    verdict = str(row["verdict"])
    if verdict == "discrete":
        return f"{n_clusters(row)} subtypes supported"
    return "no subtypes claimed" if verdict == "uncertain" else "no subtypes supported"


def _condition_blocks(inputs: GroupInputs) -> list[Block]:
    """What discrete asks for, and what clusters go with; nothing where no arm has two."""
    arms = searched_arms(inputs)
    rows = {arm: chosen_row(inputs, arm) for arm in arms}
    if all(n_clusters(row) == 1 for row in rows.values()):
        return []
    lines: list[list[str | Cell]] = []
    for arm, row in rows.items():
        if n_clusters(row) == 1:
            lines.append([Cell(arm, "strong"), "1", *[Cell(MISSING, "muted")] * 9])
            continue
        nulls = [
            _judged(beside(row[name], ALPHA, p_value(row[name])), rejects(row, name))
            for name in NULLS
        ]
        again = [
            _judged(beside(row[name], LEAST_ARI, number(row[name])), comes_again(row, name))
            for name in STABILITIES
        ]
        others = [number(row[name]) for name in ("v_site", "v_sex", "eta2_age", "eta2_quality")]
        lines.append([Cell(arm, "strong"), str(n_clusters(row)), *nulls, *again, *others])
    return [
        make_table(
            "What speaks for the clusters, and what they go with",
            {
                "arm": False, "k": True, "null, whole: p": True, "null, directions: p": True,
                "resampled": True, "halves": True, "sites left out": True, "V site": True,
                "V sex": True, "η² age": True, "η² quality": True,
            },
            lines,
            reading=f"Discrete asks for p of at most {ALPHA:g} in both nulls and an agreement of "
            f"at least {LEAST_ARI:.2f} in all three ways to find the clusters again; red: it "
            "fails. Nulls: how often a single Gaussian blob, all features through the whole "
            "search, or in the chosen directions, is as far apart as these clusters are. "
            "Agreement: adjusted Rand index, 1 is the same, 0 chance; sites left out: the lowest "
            "over sites. V: Cramér's V, corrected for bias; η²: share of the variance of age "
            "between clusters, and that of the quality measure of the images that goes with them "
            "most, beyond covariates and site (n/a: no images of these people were processed "
            "here). With one cluster (k = 1) there is nothing to ask.",
        )
    ]  # fmt: skip


def _judged(text: str, holds: bool) -> Cell:
    tone: Tone = "good" if holds else "bad"
    return Cell(text, "muted" if text == MISSING else tone)


def _stability_figure(inputs: GroupInputs) -> list[Block]:
    """One panel an arm; k = 1 is left out, because one cluster always comes again."""
    table = inputs.tables["subtypevalidity"]
    ours = table[(table["method"] == OURS) & (table["k"] > 1)]
    curves = {
        arm: own
        for arm in searched_arms(inputs)
        if (own := ours[ours["arm"] == arm])[list(STABILITIES)].notna().any(axis=None)
    }
    if not curves:
        text = "group_subtypevalidity.tsv has no row of two clusters, so no stability is drawn."
        return [Paragraph(text, "absent")]
    chosen = {arm: n_clusters(chosen_row(inputs, arm)) for arm in curves}
    single = any(own["leavesite_ari"].isna().all() for own in curves.values())
    figure = Figure(
        title="Do the clusters come again?",
        source=draw_stability(curves, chosen),
        alt="Agreement of clusters found again against their number, a panel an arm.",
        reading="Adjusted Rand index of the clusters with those found in other people: 1 is the "
        "same, 0 chance. Beside each arm the number of clusters that describes its cases best; "
        "where that is 1, nothing is marked. One cluster always comes again, so k = 1 is left "
        "out. A blob without kinds can be cut in the same way again and again: stability alone "
        "is no subtype."
        + (" Where no site could be left out, that curve is missing." if single else ""),
    )
    return [figure]


def _site_table(inputs: GroupInputs) -> list[Block]:
    """Cases of each cluster by site, in the arm that does most about the site and has two."""
    people = inputs.tables.get("subtypes")
    arms = [arm for arm in best_first(inputs) if n_clusters(chosen_row(inputs, arm)) > 1]
    if people is None or not arms or "site" not in people:
        return []
    own = people[people["arm"] == arms[0]].dropna(subset=["site", "subtype"])
    labels = sorted(own["subtype"].astype(int).unique())
    rows: list[list[str | Cell]] = [
        [Cell(str(site)), *(str(int((cases["subtype"] == label).sum())) for label in labels)]
        for site, cases in own.groupby(own["site"].astype(str))
    ]
    return [
        make_table(
            f"Cases of each cluster by site (arm {arms[0]})",
            {"site": False, **{f"cluster {label}": True for label in labels}},
            rows,
            folded=True,
        )
    ]


def _comparators(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables["subtypevalidity"]
    rows: list[list[str | Cell]] = []
    for arm in searched_arms(inputs):
        others = table[(table["arm"] == arm) & (table["method"] != OURS)]
        for _, row in others.iterrows():
            name = str(row["method"])
            rows.append(
                [
                    Cell(_METHODS.get(name, name)),
                    arm,
                    number(row["k"], 0),
                    number(row["agreement"]),
                    number(row["v_site"]),
                ]
            )
    if not rows:
        return []
    alone = any(not is_number(chosen_row(inputs, arm)["v_site"]) for arm in searched_arms(inputs))
    return [
        make_table(
            "Other methods, for comparison only",
            {"method": False, "arm": False, "k": True, "agreement": True, "V site": True},
            rows,
            reading="They always give as many clusters (k) as they are asked for, whether there "
            "are kinds or not, so they neither support nor contradict the verdict. Agreement: "
            "adjusted Rand index with the clusters above"
            + (", n/a where these are one" if alone else "")
            + ". V: Cramér's V with the site.",
        )
    ]
