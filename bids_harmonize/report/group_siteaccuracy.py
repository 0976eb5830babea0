"""How well the site is told: the network beside its controls, and what its training adds."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_drawing import BLUE, FAINT, ORANGE
from bids_harmonize.report.group_figures import draw_dots
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import (
    MAIN_MODELS,
    able_shortcuts,
    interval,
    is_own_image,
    texts,
)
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
    shortcut_words,
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
    table = inputs.tables["siteclassification"]
    unseen = texts(table, "split") == "validation"
    shown = reading_order(table[unseen & ~texts(table, "model").isin(ABLATIONS)])
    if shown.empty:
        text = "No row of group_siteclassification.tsv is about people that a fold left out."
        return [Paragraph(text, "absent")]
    blocks: list[Block] = [Paragraph(_explain(inputs))]
    return [*blocks, _dots(shown), _table(shown, _training_words(inputs))]


def _explain(inputs: GroupInputs) -> str:
    table = inputs.tables["siteclassification"]
    if inputs.from_features:
        return (
            "A logistic regression learnt to name the site from the numbers of a table and was "
            "tested on people it had not seen, all folds pooled. What a control can do, it may "
            "have done in the same way."
        )
    missing = [MODEL_WORDS[model] for model in CONTROLS if model not in set(table["model"])]
    text = (
        "A network learnt to name the site from the whole volume and was tested on people it had "
        "not seen, all folds pooled. Its controls were given less. Whatever a control can do, "
        "the network may have done in the same way."
    )
    able = able_shortcuts(inputs)
    if able is not None:
        shown = listing(
            shortcut_words(row["model"], row["balanced_accuracy"]) for _, row in able.iterrows()
        )
        text += f" Without a look at brain anatomy, these beat guessing: {shown}."
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


def reading_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table in the order of :data:`MODEL_WORDS`, harmonized images last."""
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
            xlabel="balanced accuracy (share named rightly, mean over sites)",
            lines=[(float(value), "chance") for value in chance.iloc[:1]],
            limits=(-0.02, 1.02),
        ),
        alt="Balanced accuracy of the model and of its controls with 95 % intervals.",
        reading="Dots: balanced accuracy. Bars: 95 % intervals. Dashed: guessing. Grey: "
        "controls. A control far right of the dashed line is a shortcut: the site can be told "
        "without looking at the brain. Shuffled site names must stay on the line. (Brain only "
        "is no shortcut: it shows how much the brain alone gives away.)",
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
        "weight, so that a large site cannot carry the result. p: how often true sites "
        "that are shuffled among the tested people fit the answers as well. Calibration error: "
        "mean gap between how sure the model is and how often it is right; 0 is best, n/a where "
        "a quick run gave nothing to calibrate by." + training
        + (" Some rows are quick: the first fold only, fewer people." if quick else ""),
    )  # fmt: skip


def _colour(row: pd.Series) -> str:
    if row["model"] in CONTROLS:
        return FAINT
    return BLUE if is_own_image(str(row["images"])) else ORANGE
