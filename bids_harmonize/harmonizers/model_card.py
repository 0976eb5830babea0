"""The model card of a harmonizer: what it is, may change, and must not be trusted with."""

from collections.abc import Mapping, Sequence
from typing import Any

from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.base import FitReport, Harmonizer
from bids_harmonize.harmonizers.card_localhistogram import CARDS

_TRAINED = """\
## What it may change
How bright each intensity is at each place, smoothly over cells of 48 mm, and{sharpening} nothing
else. It cannot draw: no structure can appear, vanish or move. Outside the head nothing changes.

## Where it fails
* **The site can still be found.** A *freshly trained* site probe may still name the site from
  harmonized images; only a probe trained before is fooled. Nobody may say the site was removed.
* It does not restore what was not acquired: going from a worse to a better scanner gains less.
* If the sites differ in who was scanned (age, diagnosis, 10 % less grey matter everywhere), part
  of that difference may be taken for the scanner. Look at the stage ``evaluate``.
* It knows the sites below and no other; another scanner at one of them is another site.
"""

_SIMPLE = """\
## What it may change
{description}. It moves no structure. Outside the head nothing changes.

## Where it fails
* **The site can still be found**: a freshly trained site probe may still name it.
* It cannot see what it does not model: a histogram sees no coil, a bias field no contrast.
"""

_SEEN = """\
## Who was seen
`training.tsv` lists every scan. In `splits.tsv`, `monitor` participants steered the choice of the
weights without a gradient: they count as seen. Travelling subjects were never used.
"""


_CARDS = """\
## Trained on a reference card
No image of the reference was seen: its mean local histograms stood in for them. So the identity
term was off, and nothing says how the model would treat scans of the reference; they are only
scaled.

| site | people | noise | licence | sha256 |
|---|---|---|---|---|
"""


def make_card(
    harmonizer: Harmonizer, report: FitReport, *, n_participants: Mapping[str, int]
) -> str:
    """Markdown text in plain words.

    Parameters
    ----------
    harmonizer
        A fitted one.
    report
        What happened while fitting.
    n_participants
        Site to the number of participants it was fitted on.

    Returns
    -------
    str
        For ``README.md`` beside the weights.
    """
    row, frame = HARMONIZERS[harmonizer.name], harmonizer.frame
    _, learnt = harmonizer.capture()
    cards = learnt.get(CARDS, [])
    sites = frame.source_sites if cards else frame.sites
    counts = "\n".join(f"| {site} | {n_participants.get(site, 0)} |" for site in sites)
    cautions = [f"> **{warning}.**" for warning in report.warnings]
    if row.trained:
        body = _TRAINED.format(sharpening=_sharpening(learnt, frame.voxel_size_mm))
    else:
        body = _SIMPLE.format(description=row.description.capitalize())
    unit = f"{harmonizer.high[frame.reference_site]:.6g}"
    summary = f"{row.description.capitalize()}. {row.citation}".strip()
    ways = f"to {frame.reference_site} only" if cards else "both ways"
    place = (
        f"Maps T1w images between {frame.reference_site} and each of "
        f"{', '.join(frame.source_sites)}, {ways}, at {frame.voxel_size_mm:g} mm. The unit is "
        f"the 99th percentile in the {frame.scaling_mask} mask; images are written back in the "
        f"median unit of {frame.reference_site}, {unit}."
    )
    table = f"| site | participants |\n|---|---|\n{counts}"
    title = f"# {row.name}, to {frame.reference_site}"
    seen = [_card_words(cards), _SEEN] if cards else [_SEEN]
    return "\n\n".join([title, *cautions, summary, place, table, body.rstrip(), *seen])


def _card_words(cards: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"| {card['site']} | {card['n_people']} | {card['card_noise']:g} | {card['licence']} | "
        f"`{card['sha256']}` |"
        for card in cards
    ]
    return _CARDS + "\n".join(lines)


def _sharpening(learnt: Mapping[str, Any], voxel_size_mm: float) -> str:
    same = abs(learnt["network_voxel_size_mm"] - voxel_size_mm) < 1e-3
    return " how sharp the whole image is, and" if same else ""
