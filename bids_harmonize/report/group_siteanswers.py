"""What the tables of the site classifier answer, in sentences: the site, and where it is read.

The page does not judge anew. Where the stage wrote an answer (group_siteverdict.tsv) it is said;
only where an older output lacks it, "visible" means an interval above chance and, where there is
a permutation test, p of at most 0.01.
"""

from dataclasses import dataclass

import pandas as pd

from bids_harmonize.report.group_inputs import FEATURES, GroupInputs
from bids_harmonize.report.group_words import (
    is_number,
    p_value,
    percent,
    percent_interval,
    significant,
)

MAIN_MODELS = ("network", "logistic")
OWN_IMAGES = ("preproc", FEATURES)
P_LIMIT = 0.01
SITE_QUESTION = "site_visible"
BRAIN_QUESTION = "decides_inside_brain"
_ANSWERS = ("yes", "no", "cannot tell")


@dataclass(frozen=True)
class Answer:
    """A question's answer (``yes``, ``no``, ``cannot tell``), its number and its reason."""

    answer: str
    value: float | None = None
    threshold: str = ""
    reason: str = ""

    @property
    def measured(self) -> str:
        """The number and what yes would have needed; empty without a number."""
        if not is_number(self.value):
            return ""
        needed = significant(self.threshold) if is_number(self.threshold) else self.threshold
        return f"measured {significant(self.value)}" + (f", limit {needed}" if needed else "")


def texts(table: pd.DataFrame, column: str) -> pd.Series:
    """The column as text, empty where a cell or the whole column is missing."""
    if column not in table:
        return pd.Series("", index=table.index)
    return table[column].map(lambda cell: "" if cell is None or pd.isna(cell) else str(cell))


def is_own_image(images: str) -> bool:
    """Whether the images are those before harmonization, or a feature table."""
    return images.startswith(OWN_IMAGES)


def unseen_rows(inputs: GroupInputs, *, own: bool = True) -> pd.DataFrame | None:
    """Rows of group_siteclassification.tsv on people that the model had not seen.

    Parameters
    ----------
    inputs
        What is on disk.
    own
        Leave out what was told from harmonized images.

    Returns
    -------
    DataFrame or None
        ``None`` without the table or without such a row.
    """
    table = inputs.tables.get("siteclassification")
    if table is None:
        return None
    kept = texts(table, "split") == "validation"
    if own:
        kept &= texts(table, "images").map(is_own_image)
    return table[kept] if kept.any() else None


def main_row(inputs: GroupInputs) -> pd.Series | None:
    """The row of the network, or of the feature table's model; ``None`` without one."""
    rows = unseen_rows(inputs)
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
        threshold=texts(own, "threshold").iloc[0],
        reason=texts(own, "reason").iloc[0],
    )


def site_visible(inputs: GroupInputs) -> str:
    """Whether the site can be told: ``yes``, ``no`` or ``cannot tell``."""
    given = given_answer(inputs, SITE_QUESTION)
    if given is not None:
        return given.answer
    row = main_row(inputs)
    if row is None:
        return "cannot tell"
    _, low, _ = interval(row)
    if not (is_number(low) and is_number(row["chance"])):
        return "cannot tell"
    p = row["p_permutation"]
    return "yes" if low > row["chance"] and (not is_number(p) or p <= P_LIMIT) else "no"


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
        return ""
    who = "a network" if row["model"] == "network" else "a model of the feature table"
    found = (
        f"{who} named the site rightly for {percent_interval(*interval(row))} of the people that "
        f"it had not seen; guessing gives {percent(row['chance'])}"
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


def brain_sentences(inputs: GroupInputs) -> str:
    """Whether the decision lies inside the brain, the reason, and what that means here.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    str
        Empty where the question was not answered by the stage.
    """
    given = given_answer(inputs, BRAIN_QUESTION)
    if given is None:
        return ""
    parts = [f"Decides inside the brain: {given.answer}."]
    if given.reason:
        parts.append(f"{given.reason[0].upper()}{given.reason[1:].rstrip('.')}.")
    if given.measured:
        parts.append(f"({given.measured[0].upper()}{given.measured[1:]}.)")
    if site_visible(inputs) == "no":
        parts.append("As no site effect was shown, there is no decision to find a place for.")
    else:
        parts.append(_MEANING[given.answer])
    return " ".join(parts)


_MEANING = {
    "yes": "For this study: the brain tissue itself looks different from site to site. Taking "
    "away the face or the skull would not solve it.",
    "no": "For this study: a good part of the decision comes from scalp, skull, neck or the "
    "head's outline. The accuracy says little about the brain.",
    "cannot tell": "For this study: the accuracy must not be read as a difference in brain "
    "tissue, and the maps are no proof of one.",
}


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
