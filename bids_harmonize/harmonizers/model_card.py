"""The model card of a harmonizer: what it is, may change, and must not be trusted with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.base import FitReport, Frame, Harmonizer
from bids_harmonize.harmonizers.bilateral import is_same_grid
from bids_harmonize.harmonizers.card_localhistogram import CARDS
from bids_harmonize.harmonizers.imitation import imitation_words
from bids_harmonize.harmonizers.site_shares import SITE_SHARES, share_words
from bids_harmonize.networks.generators import GENERATORS, GeneratorRow

_BRIGHTNESS = """\
## What it may change
How bright each intensity is at each place, smoothly over cells of 48 mm, and{sharpening} nothing
else. It cannot draw: no structure can appear, vanish or move. Outside the head nothing changes.
"""

_DRAWING = """\
## What it may change
Every voxel of the head, as it likes. **It can draw structure and erase it**: a lesion can fade,
vanish, or appear where there is none, and nothing in the image tells. Where lesions, volumes or
thickness matter, look at the image before harmonization too, or use `--generator bilateral`, which
cannot draw.{coarseness} Outside the head nothing changes.
"""

_TRAINED = """\
## Where it fails
* **The site can still be found.** A *freshly trained* site probe may still name the site from
  harmonized images; only a probe trained before is fooled. Nobody may say the site was removed.
* It does not restore what was not acquired: going from a worse to a better scanner gains less.
* If the sites differ in who was scanned (age, diagnosis, 10 % less grey matter everywhere), part
  of that difference may be taken for the scanner. Look at the stage ``evaluate``.{copied}
{others}
"""

_PAIRWISE = """\
* It knows the sites above and leaves scans of others out; another scanner at one of the sites
  above is another site."""

_JOINT = """\
* It was trained on the sites above. It takes scans of any other site too, and gains less there:
  each is flagged, with its distance from the training sites (`HarmonizationDistance`; 1 is an
  ordinary scan of a training site, the farthest training scan has {usual:.2f}). Look at images
  beyond that before using them.
* It goes to the reference alone; there is no way back."""

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
weights without a gradient: they count as seen. Travelling subjects were never used, nor those
`held-back`, who are no controls.
"""


_CARDS = """\
## Trained on a reference card
No image of the reference was seen: its mean local histograms stood in for them. So the identity
term was off, and nothing says how the model would treat scans of the reference; they are only
scaled.

| site | people | noise | licence | sha256 |
|---|---|---|---|---|
"""
_VIRTUAL = """\
## A virtual reference
Nobody was scanned at `median`: every quantile of intensity (and, for the trained method, of each
48 mm cell) is the median of those of {sites}, each of which weighs the same. So nothing can show
how close an image comes to it, and the identity term was off. People who were scanned at several
sites show how far their images agree."""

_UNKNOWN_LICENSE = (
    "unknown; fill in before you pass the model on: weights and mean histograms are made from the "
    "images of the people in `training.tsv`"
)


_PROBE_KINDS = {
    "reseeded": "the site classifier's network",
    "converged": "the site classifier's network, trained long",
    "forest": "a random forest on intensity and texture",
}


@dataclass(frozen=True)
class CardFacts:
    """What the card tells beyond the harmonizer itself.

    Attributes
    ----------
    grid_shape
        Voxels of the study grid; empty where not known.
    license
        Of the dataset that it was trained on, ``None`` where its description names none.
    bias_correction
        Word of ``--bias-correction`` by which its images were made.
    fitted_on
        A sentence on controls and others among its people; empty where no group was named.
    measured
        What the stage ``evaluate`` found: ``probe``, ``gain`` and ``lesions``, each with a
        ``reason`` where nothing could be measured; ``None`` before that stage.
    """

    grid_shape: tuple[int, ...] = ()
    license: str | None = None
    bias_correction: str | None = None
    fitted_on: str = ""
    measured: Mapping[str, Any] | None = None


def make_card(
    harmonizer: Harmonizer,
    report: FitReport,
    *,
    n_participants: Mapping[str, int],
    facts: CardFacts | None = None,
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
    facts
        Licence, grid and what was measured, where known.

    Returns
    -------
    str
        For ``README.md`` beside the weights.
    """
    facts = facts or CardFacts()
    row, frame = HARMONIZERS[harmonizer.name], harmonizer.frame
    _, learnt = harmonizer.capture()
    cards = learnt.get(CARDS, [])
    sites = frame.source_sites if cards or frame.is_virtual else frame.sites
    counts = "\n".join(f"| {site} | {n_participants.get(site, 0)} |" for site in sites)
    cautions = [f"> **{warning}.**" for warning in report.warnings]
    if row.trained:
        body = _trained_words(harmonizer, learnt)
    else:
        body = _SIMPLE.format(description=row.description.capitalize())
    unit = f"{harmonizer.high[frame.reference_site]:.6g}"
    summary = f"{row.description.capitalize()}. {row.citation}".strip()
    if row.trained:
        summary += f" Generators: {_generator(harmonizer).description}."
    sources = ", ".join(frame.source_sites)
    ways = f"between {frame.reference_site} and each of {sources}, both ways,"
    if frame.serves_unseen:
        ways = f"from any site to {frame.reference_site} (trained on {sources})"
    if cards or frame.is_virtual:
        ways = f"from each of {sources} to {frame.reference_site} only,"
    of_unit = "of the sites' units" if frame.is_virtual else f"unit of {frame.reference_site}"
    place = (
        f"Maps T1w images {ways} at {_grid_words(frame, facts)}. The unit is "
        f"the 99th percentile in the {frame.scaling_mask} mask; images are written back in the "
        f"median {of_unit}, {unit}."
    )
    table = f"| site | participants |\n|---|---|\n{counts}"
    if facts.fitted_on:
        table += f"\n\n{facts.fitted_on[:1].upper()}{facts.fitted_on[1:]}."
    title = f"# {row.name}, to {frame.reference_site}"
    measured = f"## What was measured\n{_measured_words(facts.measured, frame)}"
    license_words = f"## Licence of the training data\n{facts.license or _UNKNOWN_LICENSE}"
    parts = [summary, place, table, body.rstrip(), measured, license_words]
    seen = [_SEEN]
    if cards:
        seen = [_card_words(cards), _SEEN]
    if frame.is_virtual:
        seen = [_VIRTUAL.format(sites=sources), _SEEN]
    return "\n\n".join([title, *cautions, *parts, *seen])


def _trained_words(harmonizer: Harmonizer, learnt: Mapping[str, Any]) -> str:
    """What a trained harmonizer may change, where it fails, and what it took for the site's."""
    others = _PAIRWISE
    if harmonizer.frame.serves_unseen:
        others = _JOINT.format(usual=learnt["usual_distance"])
    copied = "" if _generator(harmonizer).draws else imitation_words(harmonizer.name)
    failing = _TRAINED.format(others=others, copied=copied)
    return f"{_change(harmonizer)}\n{failing}\n{share_words(learnt.get(SITE_SHARES, []))}"


def _card_words(cards: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"| {card['site']} | {card['n_people']} | {card['card_noise']:g} | {card['licence']} | "
        f"`{card['sha256']}` |"
        for card in cards
    ]
    return _CARDS + "\n".join(lines)


def _grid_words(frame: Frame, facts: CardFacts) -> str:
    words = f"{frame.voxel_size_mm:g} mm"
    words += f" on {' x '.join(map(str, facts.grid_shape))} voxels" if facts.grid_shape else ""
    if facts.bias_correction is not None:
        words += f", on images made with `--bias-correction {facts.bias_correction}`"
    return words


def _measured_words(measured: Mapping[str, Any] | None, frame: Frame) -> str:
    """The honest figures, or why there are none."""
    if measured is None:
        return (
            "Nothing yet: the stage `evaluate` has not looked at this model. Until it has, nobody "
            "can say what the model is good for."
        )
    told = [_probe_words(measured["probe"]), _gain_words(measured, frame)]
    lesions = measured.get("lesions", {"reason": ""})
    if "reason" not in lesions:
        told.append(_lesion_words(lesions))
    return "\n".join(f"* {words}" for words in told)


def _probe_words(probe: Mapping[str, Any]) -> str:
    if "reason" in probe:
        return f"Freshly trained site probe: cannot tell; {probe['reason']}."
    before, after = (_interval_words(probe[key]) for key in ("before", "after"))
    kind = f" ({_PROBE_KINDS[probe['kind']]})" if "kind" in probe else ""
    return (
        f"A freshly trained site probe{kind} was right on {after} of harmonized images (balanced "
        f"accuracy, 95 % interval), and on {before} of images that were not; chance is "
        f"{probe['chance']:.2f}. {probe['n']} people, {probe['n_probes']} probe(s), each image "
        "made by a model of the same kind that had not seen its person."
    )


def _gain_words(measured: Mapping[str, Any], frame: Frame) -> str:
    gain = measured["gain"]
    if "reason" in gain:
        return f"Nearness to real scans: cannot tell; {gain['reason']}."
    if gain.get("kind") == "agreement":
        return (
            f"The harmonized images of {gain['n']} travelling subjects, each scanned at several of"
            f" the sites, agreed by {gain['mean']:+.2f} dB ({gain['low']:+.2f} to "
            f"{gain['high']:+.2f}, 95 % interval over people) more than the images that were not "
            "harmonized (brain PSNR, as in `group_methods.tsv`)."
        )
    return (
        f"On {gain['n']} travelling subjects the harmonized image was {gain['mean']:+.2f} dB "
        f"({gain['low']:+.2f} to {gain['high']:+.2f}, 95 % interval over people) nearer to the "
        f"person's real scan at {frame.reference_site} than the image that was not harmonized "
        "(brain PSNR, as in `group_methods.tsv`)."
    )


def _lesion_words(lesions: Mapping[str, Any]) -> str:
    kinds = " and ".join(
        f"a {name} lesion kept {lesions['contrast'][name]:.2f} of its contrast and "
        f"{lesions['volume'][name]:.2f} of its volume"
        for name in sorted(lesions["contrast"])
    )
    return (
        f"Put into the scans of {lesions['n']} people, {kinds} (1 is best; as in "
        "`group_lesions.tsv`)."
    )


def _interval_words(numbers: Mapping[str, float]) -> str:
    return f"{numbers['mean']:.2f} ({numbers['low']:.2f} to {numbers['high']:.2f})"


def _change(harmonizer: Harmonizer) -> str:
    """What a trained harmonizer may change, by the kind of its generators."""
    _, learnt = harmonizer.capture()
    size, network = harmonizer.frame.voxel_size_mm, learnt["network_voxel_size_mm"]
    same = is_same_grid(network, harmonizer.frame)
    if not _generator(harmonizer).draws:
        sharpens = is_same_grid(learnt.get("loss_voxel_size_mm", network), harmonizer.frame)
        words = " how sharp the whole image is, and" if sharpens else ""
        return _BRIGHTNESS.format(sharpening=words)
    coarseness = (
        ""
        if same
        else f"\nThe change is made at {network:g} mm and interpolated to {size:g} mm: "
        "differences between\nscanners that are finer, resolution among them, stay."
    )
    return _DRAWING.format(coarseness=coarseness)


def _generator(harmonizer: Harmonizer) -> GeneratorRow:
    return GENERATORS[harmonizer.settings.get("generator", "bilateral")]
