"""What hiding and keeping blocks in training adds, and how little of the head is enough."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteaccuracy import ABLATIONS, reading_order
from bids_harmonize.report.group_siteanswers import interval, main_row, rows_of, texts
from bids_harmonize.report.group_sitefigures import draw_visibility
from bids_harmonize.report.group_words import MISSING, is_number, number, percent_interval


def block_training_blocks(inputs: GroupInputs) -> list[Block]:
    """What hiding and keeping blocks in training adds; accuracy with little of the head visible.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        Empty for a feature table; a paragraph where neither was measured.
    """
    if inputs.from_features:
        return []
    blocks: list[Block] = []
    rows = rows_of(inputs, "validation")
    if rows is not None and texts(rows, "model").isin(ABLATIONS).any():
        kept = rows[texts(rows, "model").isin(("network", *ABLATIONS))]
        blocks.append(_ablation_table(reading_order(kept)))
    table = inputs.tables.get("sitevisibility")
    if table is None:
        text = (
            "There is no group_sitevisibility.tsv, so it is not known how well the site is told "
            "when only a part of the head is visible."
        )
        return [*blocks, Paragraph(text, "absent")]
    return [*blocks, *_visibility(inputs, table)]


def _ablation_table(kept: pd.DataFrame) -> Block:
    rows: list[list[str | Cell]] = [
        [
            Cell("as it is, with both" if row["model"] == "network" else _short(row["model"])),
            str(int(row["n"])) if is_number(row["n"]) else MISSING,
            percent_interval(*interval(row)),
        ]
        for _, row in kept.iterrows()
    ]
    return make_table(
        "What hiding parts of the head in training adds",
        {"trained": False, "people": True, "balanced accuracy on whole heads": True},
        rows,
        reading="In training, a block of the head is hidden at random, or everything but a block. "
        "These rows leave that out. They are no shortcuts; all see the whole head here.",
    )


def _visibility(inputs: GroupInputs, table: pd.DataFrame) -> list[Block]:
    known = table.dropna(subset=["visible_fraction", "accuracy"])
    models = [m for m in ("network", *ABLATIONS) if m in set(texts(known, "model"))]
    if not models:
        text = "group_sitevisibility.tsv holds no accuracy, so none is drawn."
        return [Paragraph(text, "absent")]
    lines = [(_short(m).capitalize(), known[texts(known, "model") == m]) for m in models]
    row = main_row(inputs)
    chance = None if row is None else row["chance"]
    quick = texts(known, "effort").eq("quick").any()
    return [
        Figure(
            title="How well the site is told when only a part of the head is visible",
            source=draw_visibility(lines, chance=chance),
            alt="Accuracy against the visible part of the volume, one line a way of training.",
            reading="To the right, less and less is shown: one block of the head at a random "
            "place. Bars: 95 % intervals. If the accuracy stays high with 1/8 visible, the site "
            "can be read from almost any part of the head."
            + (" Quick: fewer people." if quick else ""),
        ),
        _difference_table(known, [model for model in models if model != "withoutblocks"]),
    ]


def _difference_table(known: pd.DataFrame, models: list[str]) -> Block:
    rows: list[list[str | Cell]] = []
    for model in models:
        own = known[texts(known, "model") == model].dropna(subset=["difference"])
        for _, row in own.sort_values("visible_fraction").iterrows():
            rows.append(
                [
                    Cell(_short(model)),
                    f"{row['visible_fraction']:.3g}",
                    str(int(row["n"])) if is_number(row["n"]) else MISSING,
                    percent_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
                    _points(row["difference"], row["difference_low"], row["difference_high"]),
                ]
            )
    return make_table(
        "Gain over training without either, on the same people",
        {
            "trained": False, "visible": True, "people": True, "accuracy": True,
            "gain in points": True,
        },
        rows,
        reading="Gain: difference in percentage points on the same people, with Tango's 95 % "
        "interval, which is rather too wide than too narrow. Where the interval holds 0, no gain "
        "was shown; that does not prove that there is none.",
        folded=True,
    )  # fmt: skip


def _short(model: object) -> str:
    words = {
        "network": "with both",
        "withoutmaskblock": "without hidden blocks",
        "withoutkeepblock": "without kept blocks",
        "withoutblocks": "without either",
    }
    return words.get(str(model), str(model))


def _points(value: float, low: float, high: float) -> str:
    text = number(100 * value, 1) if is_number(value) else MISSING
    if not (is_number(low) and is_number(high)):
        return text
    return f"{text} ({number(100 * low, 1)} to {number(100 * high, 1)})"
