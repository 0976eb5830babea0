"""Site by site: which is taken for which, how sure the model is, who was scanned where."""

import numpy as np
import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_drawing import BLUE
from bids_harmonize.report.group_figures import draw_confusion, draw_dots
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import MAIN_MODELS, is_own_image, main_row, texts
from bids_harmonize.report.group_sitefigures import draw_calibration
from bids_harmonize.report.group_words import (
    MISSING,
    arm_words,
    count,
    is_feature_table,
    is_number,
    listing,
    model_words,
    number,
    percent,
    percent_interval,
)


def confusion_blocks(inputs: GroupInputs) -> list[Block]:
    """Confusion matrix, and the share of each site that was named rightly.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A paragraph for what is not there.
    """
    table = inputs.tables.get("sitepredictions")
    if table is None or not {"site", "predicted"} <= set(table.columns):
        text = "There is no group_sitepredictions.tsv, so no confusion matrix."
        return [Paragraph(text, "absent"), *_recall_blocks(inputs)]
    images = texts(table, "images")
    blocks: list[Block] = []
    for name in dict.fromkeys(images[images.map(is_own_image)]):
        blocks += _confusion(table[images == name], inputs)
    return [*blocks, *_recall_blocks(inputs)]


def calibration_blocks(inputs: GroupInputs) -> list[Block]:
    """Whether the model is as often right as it is sure.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        A figure, or a paragraph where the table is absent.
    """
    table = inputs.tables.get("sitecalibration")
    if table is None:
        text = "There is no group_sitecalibration.tsv, so how sure the model is was not judged."
        return [Paragraph(text, "absent")]
    own = table[texts(table, "model").isin(MAIN_MODELS) & texts(table, "images").map(is_own_image)]
    own = own[texts(own, "images") == texts(own, "images").iloc[0]] if len(own) else own
    if own.dropna(subset=["confidence", "accuracy"]).empty:
        text = "group_sitecalibration.tsv holds no filled bin, so no calibration is drawn."
        return [Paragraph(text, "absent")]
    row = main_row(inputs)
    error = None if row is None else row["calibration_error"]
    return [
        Figure(
            title="How far its certainty can be trusted",
            source=draw_calibration(own),
            alt="Share of right answers against the model's certainty, with counts below.",
            reading="On the dashed line, the model is right as often as it is sure. Below it, it "
            "is too sure; above, too careful. The bars count the people; a point over a short bar "
            "rests on few." + (f" Mean gap: {number(error, 3)}." if is_number(error) else ""),
        )
    ]


def _confusion(own: pd.DataFrame, inputs: GroupInputs) -> list[Block]:
    tested = own[own["predicted"].notna() & own["site"].notna() & (texts(own, "fold") != "")]
    if tested.empty:
        return []
    labels = sorted({*tested["site"].astype(str), *tested["predicted"].astype(str)})
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for site, predicted in zip(tested["site"], tested["predicted"], strict=True):
        counts[labels.index(str(site)), labels.index(str(predicted))] += 1
    images = str(own["images"].iloc[0])
    arm = arm_words(images) if is_feature_table(images) else ""
    what = "row" if arm else "scan"
    before = "" if arm else " before harmonization"
    text = (
        f"{count(int(counts.sum()), what)}{before}. Rows: true sites. Columns: the model's "
        "answer. All on the diagonal: every site was named rightly."
    )
    if "siterecall" not in inputs.tables:
        shares = {
            site: counts[place, place] / counts[place].sum() if counts[place].sum() else np.nan
            for place, site in enumerate(labels)
        }
        shown = listing(f"{site} {percent(share)}" for site, share in shares.items())
        text += f" Share named rightly: {shown}."
    return [
        Figure(
            title="Which site is taken for which" + (f" (features, {arm})" if arm else ""),
            source=draw_confusion(labels, counts),
            alt="Confusion matrix of the site classifier.",
            reading=text,
            size="narrow",
        )
    ]


def _recall_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("siterecall")
    if table is None:
        text = "There is no group_siterecall.tsv, so no interval for a single site."
        return [Paragraph(text, "absent")]
    own = table[
        texts(table, "model").isin(MAIN_MODELS) & texts(table, "images").map(is_own_image)
    ].dropna(subset=["recall"])
    blocks: list[Block] = []
    if len(own):
        several = own["images"].nunique() > 1
        dots = [
            (
                _site_label(row, several=several),
                row["recall"], row["low"], row["high"], BLUE,
            )
            for _, row in own.iterrows()
        ]  # fmt: skip
        blocks.append(
            Figure(
                title="How often each site is named rightly",
                source=draw_dots(
                    dots, xlabel="share of the site's people named rightly", limits=(-0.02, 1.02)
                ),
                alt="Share named rightly for every site with 95 % intervals.",
                reading="Dots: share of the site's unseen people. Bars: 95 % intervals, wide "
                "where few people were scanned. A site far left of the others looks like one of "
                "them; the table above shows which.",
            )
        )
    blocks.append(_recall_table(table))
    return blocks


def _site_label(row: pd.Series, *, several: bool) -> str:
    people = f" ({int(row['n'])} people)" if is_number(row["n"]) else ""
    arm = f", {_images_label(str(row['images']))}" if several else ""
    return f"{row['site']}{arm}{people}"


def _images_label(images: str) -> str:
    return f"features ({arm_words(images)})" if is_feature_table(images) else "images"


def _recall_table(table: pd.DataFrame) -> Block:
    rows: list[list[str | Cell]] = [
        [
            Cell(model_words(row.get("model"), row.get("images")), "strong"),
            str(row.get("site")),
            str(int(row["n"])) if is_number(row["n"]) else MISSING,
            percent_interval(row["recall"], row["low"], row["high"]),
        ]
        for _, row in table.iterrows()
    ]
    return make_table(
        "The same for every model and control",
        {"given": False, "site": False, "people": True, "named rightly": True},
        rows,
        reading="In brackets: 95 % intervals.",
        folded=True,
    )
