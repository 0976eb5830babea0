"""Section "Can the site be told from an image?": the answer first, then what it rests on."""

from bids_harmonize.report.group_blocks import Block, Paragraph, Section
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_saliency import saliency_blocks
from bids_harmonize.report.group_saliencychecks import check_blocks
from bids_harmonize.report.group_siteaccuracy import accuracy_blocks
from bids_harmonize.report.group_siteanswers import brain_answer, site_sentence
from bids_harmonize.report.group_siteblocks import block_training_blocks
from bids_harmonize.report.group_siteconfusion import calibration_blocks, confusion_blocks
from bids_harmonize.report.group_sitepeople import asked_blocks, confounding_blocks

_KEY = "classification"
_TITLE = "Can the site be told from an image?"


def classification_section(inputs: GroupInputs) -> Section:
    """The site classifier, what it may have used, and where it looks.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words for each part that is not there.
    """
    if "siteclassification" not in inputs.tables:
        text = (
            "There is no group_siteclassification.tsv: the stage classify has not run here, so "
            "nothing is known about how well the site can be told."
        )
        return Section(_KEY, _TITLE, (Paragraph(text, "absent"), *asked_blocks(inputs)))
    blocks: list[Block] = [
        *_answers(inputs),
        *accuracy_blocks(inputs),
        *confusion_blocks(inputs),
        *calibration_blocks(inputs),
        *confounding_blocks(inputs),
        *block_training_blocks(inputs),
        *saliency_blocks(inputs),
        *([] if inputs.from_features else check_blocks(inputs)),
        *asked_blocks(inputs),
    ]
    return Section(_KEY, _TITLE, tuple(blocks))


def _answers(inputs: GroupInputs) -> list[Block]:
    """What a reader came for, in two short paragraphs."""
    site = site_sentence(inputs)
    blocks: list[Block] = [Paragraph(site, "lead")] if site else []
    if inputs.from_features:
        return blocks
    brain = brain_answer(inputs)
    if brain is not None:
        answer, reason = brain
        blocks.append(Paragraph(answer, "lead"))
        return [*blocks, *([Paragraph(reason)] if reason else [])]
    text = (
        "There is no group_siteverdict.tsv with an answer, so whether the decision lies inside "
        "the brain is open. The maps below alone do not settle it."
    )
    return [*blocks, Paragraph(text, "absent")]
