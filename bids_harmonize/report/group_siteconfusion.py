"""Site by site: which is taken for which, and how sure the model is."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Figure, Paragraph, make_table
from bids_harmonize.report.group_figures import draw_confusion
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_siteanswers import MAIN_MODELS, is_own_image, main_row, texts
from bids_harmonize.report.group_sitefigures import draw_calibration
from bids_harmonize.report.group_sitenamed import (
    UNSEEN_WORDS,
    Confusion,
    confusion_of,
    new_rows,
    tested_rows,
)
from bids_harmonize.report.group_siterecall import COMPACT_SITES, recall_blocks
from bids_harmonize.report.group_words import (
    arm_words,
    count,
    is_feature_table,
    is_number,
    listing,
    number,
    percent,
)

_N_MISTAKES = 10
_SEVERAL = 2  # people: one alone is no pattern


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
        return [Paragraph(text, "absent"), *recall_blocks(inputs)]
    images = texts(table, "images")
    blocks: list[Block] = []
    for name in dict.fromkeys(images[images.map(is_own_image)]):
        blocks += _confusion(table[images == name], inputs)
    blocks += _new_confusion(table[images == "preproc"])
    return [*blocks, *recall_blocks(inputs)]


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
    tested = tested_rows(own)
    if tested.empty:
        return []
    confusion = confusion_of(tested)
    images = str(own["images"].iloc[0])
    arm = arm_words(images) if is_feature_table(images) else ""
    before = "" if arm else " before harmonization"
    text = f"{_people(confusion)}{before}, each by a model that had not seen them. {_HOW_TO_READ}"
    if "siterecall" not in inputs.tables:
        text += f" Share named rightly: {_shares(confusion)}."
    title = "Which site is taken for which" + (f" (features, {arm})" if arm else "")
    return _matrix(confusion, title, text)


def _new_confusion(own: pd.DataFrame) -> list[Block]:
    """The same for new scans; people with a scan of no trained site have a column of their own."""
    asked = new_rows(own)
    if asked.empty:
        return []
    confusion = confusion_of(asked, unseen_apart=True)
    text = (
        f"{_people(confusion)} with new scans, asked of the finished model of --model-dir. "
        f"{_HOW_TO_READ}"
    )
    if UNSEEN_WORDS in confusion.answers:
        text += (
            f" Last column ({UNSEEN_WORDS}): people with a scan that the model does not know; the "
            "accuracy counts the most probable site of these too."
        )
    return _matrix(confusion, "Which site is taken for which: new scans", text)


_HOW_TO_READ = (
    "A person's scans at a site are averaged first. Rows: true sites. Columns: the model's "
    "answer. All on the diagonal: every site was named rightly."
)


def _people(confusion: Confusion) -> str:
    n = int(confusion.counts.sum())
    return f"{count(n, 'person', 'people')} ({confusion.n_right} named rightly)"


def _shares(confusion: Confusion) -> str:
    return listing(
        f"{site} {percent(own[confusion.answers.index(site)] / own.sum())}"
        for site, own in zip(confusion.sites, confusion.counts, strict=True)
    )


def _matrix(confusion: Confusion, title: str, text: str) -> list[Block]:
    """The picture; with many sites also the most frequent mistakes, which it hides."""
    many = len(confusion.answers) > COMPACT_SITES
    blocks: list[Block] = [
        Figure(
            title=title,
            source=draw_confusion(
                confusion.sites, confusion.counts, answers=confusion.answers, compact=many
            ),
            alt="Confusion matrix of the site classifier.",
            reading=text,
            size="" if many else "narrow",
        )
    ]
    mistakes = [row for row in confusion.mistakes() if row[2] >= _SEVERAL]
    if many and mistakes:
        more = len(mistakes) - _N_MISTAKES
        blocks.append(
            make_table(
                f"{title}: the most frequent mistakes",
                {"true site": False, "named as": False, "people": True, "of the site": True},
                [
                    [site, answer, f"{n} of {n_all}", percent(n / n_all)]
                    for site, answer, n, n_all in mistakes[:_N_MISTAKES]
                ],
                reading="Pairs of sites that were taken for one another at least twice"
                + (f"; {count(more, 'rarer pair')} left out." if more > 0 else "."),
            )
        )
    return blocks
