"""Words about a reference without images (known by its card alone, or virtual) or travellers."""

from collections.abc import Mapping
from typing import Any

from bids_harmonize.report.group_blocks import Finding
from bids_harmonize.report.group_inputs import GroupInputs, HarmonizerFolder
from bids_harmonize.report.group_words import count, listing

_SHOWN_DIGITS = 12


def cards_of(folder: HarmonizerFolder | None) -> list[Mapping[str, Any]]:
    """The cards that a harmonizer was trained on; empty where there were none."""
    return list(_learnt(folder).get("cards") or [])


def saw_no_reference(folder: HarmonizerFolder | None) -> bool:
    """Whether a harmonizer was trained without images of its reference: there are none here."""
    return "cards" in _learnt(folder)


def reference_words(inputs: GroupInputs) -> str:
    """The reference in a sentence."""
    is_virtual = inputs.study is not None and inputs.study.virtual_reference
    return "the median of all sites" if is_virtual else str(inputs.reference_site)


def reference_sentence(inputs: GroupInputs) -> str:
    """Which card, from how many people, or the median of which sites; empty for a real site."""
    study = inputs.study
    if study is not None and study.virtual_reference:
        return (
            "The reference is virtual: in each 48 mm cell of the head every quantile of intensity "
            "and of gradient is the median of those of "
            f"{listing(study.trained_sites)}, each of which weighs the same."
        )
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


def reference_findings(inputs: GroupInputs) -> list[Finding]:
    """What a reader must know of such a run."""
    sentence = reference_sentence(inputs)
    if not sentence:
        return []
    if inputs.study is not None and inputs.study.virtual_reference:
        text = (
            f"{sentence} Nobody was scanned there, so nothing can show how close an image comes "
            "to it; people who were scanned at several sites show how far their images agree."
        )
        return [Finding("note", "The reference is the median of all sites", text)]
    text = (
        f"{sentence} Without images of the reference the identity term and the methods that match "
        "its histogram are off, and only people with real scans there could show how close the "
        "images come."
    )
    return [Finding("note", "The reference is known by its card alone", text)]


def nobody_travels(inputs: GroupInputs) -> str:
    """What cannot be known where nobody travels; empty elsewhere."""
    study = inputs.study
    if study is None or study.travelling or study.outside_reference:
        return ""
    return (
        "Nobody was scanned at two trained sites, so no harmonized image can be held against the "
        "same person's real scan at the reference site. How near the images come to it, whether "
        "the harmonizer beats a simple method, and whether people are still recognised cannot be "
        "known from this study, and site probes cannot stand in for it. Two visits at one site "
        "are no such pair; people scanned at both sites would be."
    )


def _learnt(folder: HarmonizerFolder | None) -> Mapping[str, Any]:
    learnt = folder.model.get("learnt") if folder else None
    return learnt if isinstance(learnt, dict) else {}
