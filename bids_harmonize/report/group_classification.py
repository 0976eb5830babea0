"""Section "Can the site be told from an image?": accuracy with controls, confusion, saliency."""

import numpy as np
import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, Section, make_table
from bids_harmonize.report.group_drawing import BLUE, FAINT, ORANGE
from bids_harmonize.report.group_figures import draw_confusion, draw_dots
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_saliency import saliency_blocks
from bids_harmonize.report.group_words import (
    MODEL_WORDS,
    count,
    listing,
    percent,
    percent_interval,
)

_TITLE = "Can the site be told from an image?"
_CONTROLS = ("shuffled", "covariates", "metadata", "headmask", "histogram")


def classification_section(inputs: GroupInputs) -> Section:
    """The site classifier and what it may have used.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where the stage did not run.
    """
    table = inputs.tables.get("siteclassification")
    if table is None:
        text = (
            "There is no group_siteclassification.tsv: the stage classify has not run here, so "
            "nothing is known about how well the site can be told."
        )
        return Section("classification", _TITLE, (Paragraph(text, "absent"),))
    blocks: list[Block] = [_explain(table), *_accuracy_blocks(table)]
    blocks += _confusion_blocks(inputs)
    blocks += saliency_blocks(inputs)
    return Section("classification", _TITLE, tuple(blocks))


def _explain(table: pd.DataFrame) -> Block:
    missing = [
        MODEL_WORDS[model]
        for model in ("shuffled", "covariates", "metadata", "headmask", "brainonly",
                      "headwithoutbrain", "histogram")
        if model not in set(table["model"])
    ]  # fmt: skip
    text = (
        "A network learnt to name the site from the whole volume. It was tested on participants "
        "it had not seen, and the results of all folds were pooled. The controls beside it were "
        "given less: what a control can do, the network may have done in the same way."
    )
    if missing:
        text += f" Controls that were not run: {listing(missing)}."
    return Paragraph(text)


def _accuracy_blocks(table: pd.DataFrame) -> list[Block]:
    order = {model: place for place, model in enumerate(MODEL_WORDS)}
    shown = table.assign(
        _images=table["images"].ne("preproc"), _model=table["model"].map(order).fillna(99)
    ).sort_values(["_images", "_model", "split"], kind="stable")
    unseen = shown[shown["split"] == "validation"]
    blocks: list[Block] = []
    if len(unseen):
        dots = [
            (
                _model_words(row), row["accuracy"], row["accuracy_low"], row["accuracy_high"],
                _colour(row),
            )
            for _, row in unseen.iterrows()
        ]  # fmt: skip
        chance = float(unseen["chance"].iloc[0])
        blocks.append(
            Figure(
                title="Accuracy on unseen participants",
                source=draw_dots(
                    dots, xlabel="accuracy", lines=[(chance, "chance")], limits=(-0.02, 1.02)
                ),
                alt="Accuracy of the network and of its controls with 95 % intervals.",
                reading="Dots are accuracies, bars their 95 % intervals, the dashed line is "
                "chance on balanced accuracy. Grey: controls. A control far right of chance names "
                "a shortcut; the shuffled control belongs on the line.",
            )
        )
    rows: list[list[str | Cell]] = [
        [
            Cell(_words(row["model"]), "strong" if row["model"] == "network" else ""),
            _images_words(str(row["images"])),
            "unseen" if row["split"] == "validation" else "training",
            str(int(row["n"])),
            percent_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
            percent(row["balanced_accuracy"]),
            percent(row["chance"]),
        ]
        for _, row in shown.iterrows()
    ]
    blocks.append(
        make_table(
            "Site accuracy and controls",
            {
                "given": False, "images": False, "participants": False, "n": True,
                "accuracy (95 % interval)": True, "balanced accuracy": True, "chance": True,
            },
            rows,
            reading="Balanced accuracy is the mean over sites of the share that was named "
            "rightly; chance is one over the number of sites. The accuracy on training "
            "participants shows only that the network could learn.",
        )
    )  # fmt: skip
    return blocks


def _confusion_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("sitepredictions")
    if table is None or not {"site", "predicted"} <= set(table.columns):
        return [
            Paragraph("There is no group_sitepredictions.tsv, so no confusion matrix.", "absent")
        ]
    own = table[
        (table["images"] == "preproc") & table["predicted"].notna() & table["site"].notna()
    ]
    single = own[own["fold"].notna()]  # travelling people are asked about, not tested
    if single.empty:
        return []
    labels = sorted({*single["site"].astype(str), *single["predicted"].astype(str)})
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for site, predicted in zip(single["site"], single["predicted"], strict=True):
        counts[labels.index(str(site)), labels.index(str(predicted))] += 1
    recall = {
        site: counts[place, place] / counts[place].sum() if counts[place].sum() else np.nan
        for place, site in enumerate(labels)
    }
    shown = listing(f"{site} {percent(share)}" for site, share in recall.items())
    return [
        Figure(
            title="Which site is taken for which",
            source=draw_confusion(labels, counts),
            alt="Confusion matrix of the site classifier.",
            reading=f"{count(int(counts.sum()), 'scan')} before harmonization. Rows are the true "
            f"sites, columns the network's answer; all on the diagonal means that every site was "
            f"named rightly. Share named rightly: {shown}.",
            size="narrow",
        )
    ]


def _words(model: object) -> str:
    return MODEL_WORDS.get(str(model), str(model))


def _model_words(row: pd.Series) -> str:
    words = _words(row["model"])
    return words if row["images"] == "preproc" else f"{words}, harmonized"


def _images_words(images: str) -> str:
    return "before" if images == "preproc" else f"after ({images})"


def _colour(row: pd.Series) -> str:
    if row["model"] in _CONTROLS:
        return FAINT
    return BLUE if row["images"] == "preproc" else ORANGE
