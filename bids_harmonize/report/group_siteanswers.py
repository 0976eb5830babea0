"""What the tables of the site classifier answer, in sentences: the site, and where it is read.

The page does not judge anew: where the stage wrote an answer (group_siteverdict.tsv) it is said.
Where an older output lacks it, the site is visible if the interval lies above chance. Beside
either, a permutation test with p over 0.01 keeps the page from claiming a site effect.
"""

from dataclasses import dataclass

import pandas as pd

from bids_harmonize.metrics.siteness import SHORTCUTS, VISIBLE_P
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    is_feature_table,
    is_number,
    p_value,
    percent,
    percent_interval,
    significant,
)

MAIN_MODELS = ("network", "logistic")
SITE_QUESTION = "site_visible"
BRAIN_QUESTION = "decides_inside_brain"
_ANSWERS = ("yes", "no", "cannot tell")


@dataclass(frozen=True)
class Answer:
    """A question's answer (``yes``, ``no``, ``cannot tell``), its number and its reason."""

    answer: str
    value: float | None = None
    reason: str = ""


def texts(table: pd.DataFrame, column: str) -> pd.Series:
    """The column as text, empty where a cell or the whole column is missing."""
    if column not in table:
        return pd.Series("", index=table.index)
    return table[column].map(lambda cell: "" if cell is None or pd.isna(cell) else str(cell))


def is_own_image(images: str) -> bool:
    """Whether the images are those before harmonization, or a feature table."""
    return images == "preproc" or is_feature_table(images)


def rows_of(inputs: GroupInputs, split: str) -> pd.DataFrame | None:
    """Rows of group_siteclassification.tsv of a split, without those of harmonized images.

    Parameters
    ----------
    inputs
        What is on disk.
    split
        ``validation``: people that a fold had not seen; ``new``: asked of a finished model.

    Returns
    -------
    DataFrame or None
        ``None`` without the table or without such a row.
    """
    table = inputs.tables.get("siteclassification")
    if table is None:
        return None
    own = (texts(table, "split") == split) & texts(table, "images").map(is_own_image)
    return table[own] if own.any() else None


def main_row(inputs: GroupInputs, split: str = "validation") -> pd.Series | None:
    """The row of the network, or of the feature table's model; ``None`` without one."""
    rows = rows_of(inputs, split)
    if rows is None:
        return None
    for model in MAIN_MODELS:
        own = rows[texts(rows, "model") == model]
        if len(own):
            return own.iloc[0]
    return None


def interval(row: pd.Series) -> tuple[float, float, float]:
    """Balanced accuracy and its ends; the plain accuracy where no such interval was written."""
    if is_number(row["balanced_low"]):
        return row["balanced_accuracy"], row["balanced_low"], row["balanced_high"]
    return row["accuracy"], row["accuracy_low"], row["accuracy_high"]


def able_shortcuts(inputs: GroupInputs) -> pd.DataFrame | None:
    """Rows of the shortcuts whose interval lies above chance, best first; ``None`` without any."""
    rows = rows_of(inputs, "validation")
    if rows is None:
        return None
    own = rows[texts(rows, "model").isin(SHORTCUTS)]
    above = own[[interval(row)[1] > row["chance"] for _, row in own.iterrows()]]
    return above.sort_values("balanced_accuracy", ascending=False) if len(above) else None


def given_answer(inputs: GroupInputs, question: str) -> Answer | None:
    """The answer in group_siteverdict.tsv; ``None`` where the question is not there."""
    table = inputs.tables.get("siteverdict")
    if table is None:
        return None
    own = table[texts(table, "question") == question]
    if own.empty:
        return None
    answer = texts(own, "answer").iloc[0].lower()
    return Answer(
        answer=answer if answer in _ANSWERS else "cannot tell",
        value=own["value"].iloc[0],
        reason=texts(own, "reason").iloc[0],
    )


def site_visible(inputs: GroupInputs) -> str:
    """Whether the site can be told: ``yes``, ``no`` or ``cannot tell``."""
    row = main_row(inputs)
    given = given_answer(inputs, SITE_QUESTION)
    answer = given.answer if given is not None else _above_chance(row)
    by_chance = row is not None and is_number(row["p_permutation"])
    if answer == "yes" and row is not None and by_chance and row["p_permutation"] > VISIBLE_P:
        return "no"
    return answer


def site_sentence(inputs: GroupInputs) -> str:
    """One or two sentences: whether the site can be told, with the number and chance.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    str
        Empty where no model was tested. Claims no site effect unless the answer is yes.
    """
    row = main_row(inputs)
    if row is None:
        return _new_sentence(inputs)
    who = "a network" if row["model"] == "network" else "a model of the feature table"
    found = (
        f"{who} named the site rightly for {percent_interval(*interval(row))} of the people that "
        f"it had not seen{_balanced_words(row)}; guessing gives {percent(row['chance'])}"
    )
    if is_number(row["p_permutation"]):
        found += f" (permutation test: p {_p(row['p_permutation'])})"
    if row["model"] == "network":
        found = f"before harmonization, {found}"
    visible = site_visible(inputs)
    if visible == "yes":
        return f"The site can be told: {found}."
    if visible == "no":
        return (
            f"It was not shown that the site can be told: {found}. This does not prove that the "
            "sites are alike."
        )
    return f"Whether the site can be told is open: {found}."


def _new_sentence(inputs: GroupInputs) -> str:
    row = main_row(inputs, "new")
    if row is None:
        return ""
    return (
        "A finished model, trained elsewhere, named the site rightly for "
        f"{percent_interval(*interval(row))} of the new people whose site it knows"
        f"{_balanced_words(row)}; guessing gives {percent(row['chance'])}."
    )


def _balanced_words(row: pd.Series) -> str:
    """That the number is the balanced accuracy, where it is."""
    return " (every site counting the same)" if is_number(row["balanced_low"]) else ""


def _above_chance(row: pd.Series | None) -> str:
    if row is None:
        return "cannot tell"
    _, low, _ = interval(row)
    if not (is_number(low) and is_number(row["chance"])):
        return "cannot tell"
    return "yes" if low > row["chance"] else "no"


def brain_answer(inputs: GroupInputs) -> tuple[str, str] | None:
    """Whether the decision lies inside the brain: what that means here, and the reason.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    tuple of str or None
        The answer with its meaning, and the reason with its number in words; ``None`` where the
        stage did not answer.
    """
    given = given_answer(inputs, BRAIN_QUESTION)
    if given is None:
        return None
    meaning = _MEANING[given.answer]
    if site_visible(inputs) == "no":
        meaning = "As no site effect was shown, there is no decision to find a place for."
    reason = f"Reason: {given.reason.rstrip('.')}." if given.reason else ""
    if is_number(given.value):
        reason += (
            f" By the maps, the brain weighs {significant(given.value)} times as much as its size "
            "would suggest; 1 would be no more than its share of the head."
        )
    return f"Decides inside the brain: {given.answer}. {meaning}", reason.strip()


_MEANING = {
    "yes": "In this study the brain itself looks different from site to site in the images: in "
    "contrast, noise, sharpness or anatomy; this does not say in which. Taking away the face or "
    "the skull would not solve it.",
    "no": "In this study a good part of the decision comes from scalp, skull, neck or the head's "
    "outline. The accuracy says little about the brain.",
    "cannot tell": "In this study the accuracy must not be read as a difference in brain tissue, "
    "and the maps are no proof of one.",
}


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
