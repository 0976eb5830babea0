"""How often each site is named rightly, as a figure and for every control as a table."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_drawing import BLUE
from bids_harmonize.report.group_figures import draw_dots
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import MAIN_MODELS, is_own_image, texts
from bids_harmonize.report.group_sitefigures import draw_site_list
from bids_harmonize.report.group_words import (
    MISSING,
    arm_words,
    is_feature_table,
    is_number,
    model_words,
    percent_interval,
)

COMPACT_SITES = 8
"""With more sites than this the pictures are drawn closer, and what is per site is folded."""


def recall_blocks(inputs: GroupInputs) -> list[Block]:
    """Share of each site that was named rightly: people of the folds, then new scans.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A paragraph where the table is absent.
    """
    table = inputs.tables.get("siterecall")
    if table is None:
        text = "There is no group_siterecall.tsv, so no interval for a single site."
        return [Paragraph(text, "absent")]
    own = table[
        texts(table, "model").isin(MAIN_MODELS) & texts(table, "images").map(is_own_image)
    ].dropna(subset=["recall"])
    is_new = texts(own, "split") == "new"
    blocks: list[Block] = []
    if (~is_new).any():
        blocks.append(
            Figure(
                title="How often each site is named rightly",
                source=_draw(own[~is_new]),
                alt="Share named rightly for every site with 95 % intervals.",
                reading="Dots: share of the site's unseen people. Bars: 95 % intervals, wide "
                "where few people were scanned. A site far left of the others is often taken for "
                "another; the matrix above shows for which.",
            )
        )
    if is_new.any():
        blocks.append(
            Figure(
                title="How often each site is named rightly: new scans",
                source=_draw(own[is_new]),
                alt="Share of new people named rightly for every site with 95 % intervals.",
                reading="As above, for new scans that the finished model of --model-dir was asked "
                f"about. The most probable site counts, also of {_unseen_words(own[is_new])}.",
            )
        )
    return [*blocks, _recall_table(table)]


def _unseen_words(own: pd.DataFrame) -> str:
    known = own["n_unseen"].dropna()
    if known.empty:
        return "scans that look like no trained site"
    n = int(known.sum())
    return (
        f"the {n} people with a scan that looks like no trained site"
        if n != 1
        else ("the 1 person with a scan that looks like no trained site")
    )


def _draw(own: pd.DataFrame) -> str:
    several = own["images"].nunique() > 1
    dots = [
        (_site_label(row, several=several), row["recall"], row["low"], row["high"], BLUE)
        for _, row in own.iterrows()
    ]
    xlabel = "share of the site's people named rightly"
    if own["site"].nunique() > COMPACT_SITES:
        return draw_site_list([dot[:4] for dot in dots], xlabel=xlabel)
    return draw_dots(dots, xlabel=xlabel, limits=(-0.02, 1.02))


def _site_label(row: pd.Series, *, several: bool) -> str:
    people = f" ({int(row['n'])} people)" if is_number(row["n"]) else ""
    arm = f", {_images_label(str(row['images']))}" if several else ""
    return f"{row['site']}{arm}{people}"


def _images_label(images: str) -> str:
    return f"features ({arm_words(images)})" if is_feature_table(images) else "images"


def _recall_table(table: pd.DataFrame) -> Block:
    splits = texts(table, "split")
    any_new = (splits == "new").any()
    rows: list[list[str | Cell]] = []
    for split, (_, row) in zip(splits, table.iterrows(), strict=True):
        asked = [] if not any_new else ["new scans" if split == "new" else "cross-validation"]
        unseen = str(int(row["n_unseen"])) if is_number(row["n_unseen"]) else MISSING
        rows.append(
            [
                Cell(model_words(row.get("model"), row.get("images")), "strong"),
                *asked,
                str(row.get("site")),
                str(int(row["n"])) if is_number(row["n"]) else MISSING,
                percent_interval(row["recall"], row["low"], row["high"]),
                unseen,
            ]
        )
    return make_table(
        "The same for every model and control",
        {
            "given": False, **({"people are": False} if any_new else {}), "site": False,
            "people": True, "named rightly": True, "like no trained site": True,
        },
        rows,
        reading="In brackets: 95 % intervals. Like no trained site: people with a scan that the "
        "network does not know; they count all the same.",
        folded=True,
    )  # fmt: skip
