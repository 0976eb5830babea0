"""Words about a reference that is known by its card alone."""

from collections.abc import Mapping
from typing import Any

from bids_harmonize.report.group_blocks import Finding
from bids_harmonize.report.group_inputs import GroupInputs, HarmonizerFolder
from bids_harmonize.report.group_words import count, listing

_SHOWN_DIGITS = 12


def cards_of(folder: HarmonizerFolder | None) -> list[Mapping[str, Any]]:
    """The cards that a harmonizer was trained on; empty if it saw images of its reference."""
    learnt = folder.model.get("learnt") if folder else None
    cards = learnt.get("cards") if isinstance(learnt, dict) else None
    return list(cards or [])


def card_sentence(inputs: GroupInputs) -> str:
    """Which card, from how many people; empty without one."""
    cards = cards_of(inputs.chosen)
    if not cards:
        return ""
    named = listing(
        f"{card['site']} ({count(int(card['n_people']), 'person', 'people')}, sha256 "
        f"{str(card['sha256'])[:_SHOWN_DIGITS]}"
        + (f", noise {card['card_noise']:g}" if card["card_noise"] else "")
        + ")"
        for card in cards
    )
    word = "the reference card of" if len(cards) == 1 else "the averaged reference cards of"
    return f"In place of images of the reference, {word} {named} was used."


def card_findings(inputs: GroupInputs) -> list[Finding]:
    """What a reader must know of such a run."""
    sentence = card_sentence(inputs)
    if not sentence:
        return []
    text = (
        f"{sentence} Without images of the reference the identity term and the methods that match "
        "its histogram are off, and only people with real scans there could show how close the "
        "images come."
    )
    return [Finding("note", "The reference is known by its card alone", text)]
