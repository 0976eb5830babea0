"""Where clusters of cases differ from controls, and what else they differ in."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Fold, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_subtypearms import (
    best_first,
    chosen_row,
    cluster_sizes,
    n_clusters,
    noun,
)
from bids_harmonize.report.group_subtypefigures import draw_cluster_maps
from bids_harmonize.report.group_words import MISSING, count, number, p_value, with_interval

_MOST_DRAWN = 15
_MOST_LISTED = 300
_CIRCULAR = (
    "The clusters were made from these features: p and q do not test that there are subtypes."
)
_MEASURES = {
    "numbers": "share of variance",
    "quality": "share of variance (image quality)",
    "words": "Cramér's V",
}


def map_blocks(inputs: GroupInputs) -> list[Block]:
    """Every cluster against the controls, for arms with two and more.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        Open where the arm that does most about the site has subtypes, or may have; else folded.
    """
    table = inputs.tables.get("subtypemaps")
    arms = best_first(inputs)
    found: list[Block] = []
    for arm in arms:
        row = chosen_row(inputs, arm)
        if n_clusters(row) == 1:
            continue
        own = table[table["arm"] == arm] if table is not None else None
        if own is None or own["d"].isna().all():
            text = f"group_subtypemaps.tsv has no cluster of the arm {arm}: they are too small."
            found.append(Paragraph(text, "absent"))
            continue
        blocks = _arm_blocks(inputs, arm, own)
        if arm == arms[0] and row["verdict"] in ("discrete", "uncertain"):
            found += blocks
        else:
            title = f"{_capital(noun(row))}s against controls in the arm {arm} ({row['verdict']})"
            found.append(Fold(title, blocks))
    return found


def association_blocks(inputs: GroupInputs) -> list[Block]:
    """What else clusters differ in; folded where no arm has subtypes.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        One table, the arm that does most about the site first; a paragraph without any.
    """
    rows = {arm: chosen_row(inputs, arm) for arm in best_first(inputs)}
    if all(n_clusters(row) == 1 for row in rows.values()):
        return []
    table = inputs.tables.get("subtypeassociations")
    if table is None:
        text = (
            "There is no group_subtypeassociations.tsv: nothing else is known of enough cases, so "
            "whether clusters differ in symptoms or treatment was not asked."
        )
        return [Paragraph(text, "absent")]
    lines: list[list[str | Cell]] = []
    for arm in rows:
        own = table[table["arm"] == arm].sort_values("p", kind="stable")
        for _, one in own.iterrows():
            lines.append([
                Cell(str(one["variable"]), "strong"), arm,
                _MEASURES.get(str(one["kind"]), str(one["kind"])), number(one["strength"]),
                p_value(one["p"]), p_value(one["q"]), _whole(one["n"]),
            ])  # fmt: skip
    more = len(lines) - _MOST_LISTED
    called = any(row["verdict"] == "discrete" for row in rows.values())
    return [
        make_table(
            "What else clusters differ in",
            {"variable": False, "arm": False, "measured by": False, "strength": True, "p": True,
             "q": True, "cases": True},
            lines[:_MOST_LISTED],
            reading="Numbers: the share of their variance that clusters explain beyond covariates "
            "and site. Words: Cramér's V, not adjusted, so a site with its own habits shows here. "
            "q: false discovery rate within the arm, image quality by itself. A variable that "
            "goes with clusters does not make them subtypes."
            + (f" The other {more} stand in group_subtypeassociations.tsv." if more > 0 else ""),
            folded=not called,
        )
    ]  # fmt: skip


def _arm_blocks(inputs: GroupInputs, arm: str, own: pd.DataFrame) -> tuple[Block, ...]:
    row = chosen_row(inputs, arm)
    word = noun(row)
    names = _most_different(own)
    shown = names[:_MOST_DRAWN]
    some = f"the {len(shown)} most different of {len(names)} features"
    n_shown = own["subtype"].nunique()
    small = n_clusters(row) - n_shown
    sizes = ", ".join(map(str, cluster_sizes(inputs, arm)))
    figure = Figure(
        title=f"{_capital(word)}s against controls, arm {arm}",
        source=draw_cluster_maps(own, shown, word),
        alt=f"Difference of each {word} from controls with its interval, feature by feature.",
        reading=f"{_capital(some) if len(names) > len(shown) else 'All features'}, the widest "
        f"distance between {word}s first. d: adjusted difference from all controls, in residual "
        "standard deviations; intervals: 95 %."
        + (f" People, {word} by {word}: {sizes}." if sizes else "")
        + (f" Too small to be compared: {count(small, word)}." if small > 0 else "")
        + f" {_CIRCULAR}",
    )
    return figure, _map_table(own, names, arm, word)


def _most_different(own: pd.DataFrame) -> list[str]:
    """Features by the distance between clusters, or from controls where there is one cluster."""
    wide = own.pivot_table(index="feature", columns="subtype", values="d", sort=False)
    apart = wide.max(axis=1) - wide.min(axis=1) if wide.shape[1] > 1 else wide.iloc[:, 0].abs()
    return [str(name) for name in apart.sort_values(ascending=False, kind="stable").index]


def _map_table(own: pd.DataFrame, names: list[str], arm: str, word: str) -> Block:
    labels = sorted(own["subtype"].dropna().astype(int).unique())
    frames = {label: own[own["subtype"] == label].set_index("feature") for label in labels}
    columns = {"feature": False}
    for label in frames:
        columns |= {f"{word} {label}: {name}": True for name in ("d", "p", "q")}
    lines: list[list[str | Cell]] = []
    for name in names[:_MOST_LISTED]:
        cells: list[str | Cell] = [Cell(name)]
        for frame in frames.values():
            if name not in frame.index:
                cells += [MISSING] * 3
                continue
            one = frame.loc[name]
            d = with_interval(one["d"], one["low"], one["high"])
            cells += [d, p_value(one["p"]), p_value(one["q"])]
        lines.append(cells)
    more = len(names) - len(lines)
    return make_table(
        f"The same of {'all' if not more else f'the first {len(lines)} of'} {len(names)} "
        f"features (arm {arm})",
        columns,
        lines,
        reading=f"{_CIRCULAR}"
        + (f" The other {more} stand in group_subtypemaps.tsv." if more else ""),
        folded=True,
    )


def _whole(value: float) -> str:
    return number(value, 0)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
