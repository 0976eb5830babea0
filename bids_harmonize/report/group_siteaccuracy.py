"""How well the site is told: the network beside its controls, and what its training adds."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_drawing import BLUE, FAINT, ORANGE
from bids_harmonize.report.group_figures import draw_dots
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import (
    MAIN_MODELS,
    interval,
    is_own_image,
    main_row,
    texts,
    unseen_rows,
)
from bids_harmonize.report.group_sitefigures import draw_visibility
from bids_harmonize.report.group_words import (
    MISSING,
    MODEL_WORDS,
    is_number,
    listing,
    model_words,
    number,
    p_value,
    percent,
    percent_interval,
)

CONTROLS = (
    *("brainonly", "headwithoutbrain", "headmask", "histogram", "metadata", "covariates"),
    "shuffled",
)
ABLATIONS = ("withoutmaskblock", "withoutkeepblock", "withoutblocks")


def accuracy_blocks(inputs: GroupInputs) -> list[Block]:
    """The network and its controls as a figure and a table; the training's parts on their own.

    Parameters
    ----------
    inputs
        What is on disk; group_siteclassification.tsv is there.

    Returns
    -------
    list of Block
        A paragraph where no model was tested on unseen people.
    """
    rows = unseen_rows(inputs, own=False)
    if rows is None:
        text = "No row of group_siteclassification.tsv is about unseen people."
        return [Paragraph(text, "absent")]
    shown = _sorted(rows[~texts(rows, "model").isin(ABLATIONS)])
    blocks: list[Block] = [Paragraph(_explain(inputs))]
    if len(shown):
        blocks += [_dots(shown), _table(shown, _training_words(inputs))]
    return blocks


def ablation_blocks(inputs: GroupInputs) -> list[Block]:
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
    rows = unseen_rows(inputs)
    if rows is not None and texts(rows, "model").isin(ABLATIONS).any():
        kept = rows[texts(rows, "model").isin(("network", *ABLATIONS))]
        blocks.append(_ablation_table(_sorted(kept)))
    table = inputs.tables.get("sitevisibility")
    if table is None:
        text = (
            "There is no group_sitevisibility.tsv, so it is not known how well the site is told "
            "when only a part of the head is visible."
        )
        return [*blocks, Paragraph(text, "absent")]
    return [*blocks, *_visibility(inputs, table)]


def _explain(inputs: GroupInputs) -> str:
    table = inputs.tables["siteclassification"]
    if inputs.from_features:
        return (
            "A logistic regression learnt to name the site from the feature table. It was tested "
            "on people it had not seen, all folds pooled."
        )
    missing = [MODEL_WORDS[model] for model in CONTROLS if model not in set(table["model"])]
    text = (
        "A network learnt to name the site from the whole volume and was tested on people it had "
        "not seen, all folds pooled. Its controls were given less. Whatever a control can do, "
        "the network may have done in the same way."
    )
    if missing:
        text += f" Controls that were not run: {listing(missing)}."
    return text


def _training_words(inputs: GroupInputs) -> str:
    table = inputs.tables["siteclassification"]
    seen = table[(texts(table, "split") == "train") & texts(table, "model").isin(MAIN_MODELS)]
    seen = seen[texts(seen, "images").map(is_own_image)]
    if seen.empty or not is_number(seen["accuracy"].iloc[0]):
        return ""
    share = percent(seen["accuracy"].iloc[0])
    return f" On the people it was trained on, the model is right for {share}: it could learn."


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    order = {model: place for place, model in enumerate(MODEL_WORDS)}
    keys = rows.assign(
        _images=~texts(rows, "images").map(is_own_image),
        _model=texts(rows, "model").map(order).fillna(len(order)),
    )
    return keys.sort_values(["_images", "_model"], kind="stable")


def _dots(shown: pd.DataFrame) -> Block:
    dots = [
        (model_words(row["model"], row["images"]), *interval(row), _colour(row))
        for _, row in shown.iterrows()
        if is_number(interval(row)[0])
    ]
    chance = shown["chance"].dropna()
    return Figure(
        title="Accuracy on unseen people",
        source=draw_dots(
            dots,
            xlabel="share of people whose site was named rightly",
            lines=[(float(value), "chance") for value in chance.iloc[:1]],
            limits=(-0.02, 1.02),
        ),
        alt="Accuracy of the model and of its controls with 95 % intervals.",
        reading="Dots: accuracy. Bars: 95 % intervals. Dashed: guessing. Grey: controls. A "
        "control far right of the dashed line is a shortcut: the site can be told without "
        "looking at the brain. Shuffled site names must stay on the line. (Brain only is no "
        "shortcut: it shows how much the brain alone gives away.)",
    )


def _table(shown: pd.DataFrame, training: str) -> Block:
    rows: list[list[str | Cell]] = []
    for _, row in shown.iterrows():
        cells: list[str | Cell] = [
            Cell(
                model_words(row["model"], row["images"]),
                "strong" if row["model"] in MAIN_MODELS else "",
            ),
            str(int(row["n"])) if is_number(row["n"]) else MISSING,
            percent_interval(row["balanced_accuracy"], row["balanced_low"], row["balanced_high"]),
            percent_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
            percent(row["chance"]),
            p_value(row["p_permutation"]),
            number(row["calibration_error"], 3),
        ]
        rows.append(cells)
    quick = texts(shown, "effort").eq("quick").any()
    return make_table(
        "Site accuracy and controls",
        {
            "given": False, "people": True, "balanced accuracy": True, "accuracy": True,
            "chance": True, "p": True, "calibration error": True,
        },
        rows,
        reading="In brackets: 95 % intervals. Balanced accuracy gives every site the same "
        "weight, so that a large site cannot carry the result. p: how often shuffled answers do "
        "as well. Calibration error: mean gap between how sure the model is and how often it is "
        "right; 0 is best." + training
        + (" Some rows are quick: the first fold only, fewer people." if quick else ""),
    )  # fmt: skip


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
        {"trained": False, "people": True, "accuracy on whole heads": True},
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
            reading="From left to right less of the head is shown. Bars: 95 % intervals. If the "
            "accuracy stays high with 1/8 visible, the site is written all over the head, and "
            "not in one place." + (" Quick: fewer people." if quick else ""),
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
        reading="Gain: difference in percentage points, with its 95 % interval. Where the "
        "interval holds 0, no gain was shown.",
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


def _colour(row: pd.Series) -> str:
    if row["model"] in CONTROLS:
        return FAINT
    return BLUE if is_own_image(str(row["images"])) else ORANGE
