"""The README of a card: for the one who publishes it, and for the one who must allow it."""

from collections.abc import Mapping
from typing import Any

_CARD = """\
# Reference card of {site}

This folder stands in for the T1w images of {site}. Another hospital can bring its own images to
the look of {site} with it (`bids-harmonize ... group --reference-card PATH`) without receiving any
image, and without sending one.

| what | value |
|---|---|
| people | {n_people} ({n_scans} scans; each person weighs once){people} |
| licence | {licence} |
| numbers | {n_cells} cells of 48 mm, 24 bins of intensity and 16 of edge strength in each |
| size | {size_kb:.1f} kB |
| grid | {sizes} voxels of {voxel_size_mm:g} mm; made from images of {study_voxel_size_mm:g} mm |
| unit | 99th percentile in the {scaling_mask}; median {high_ref:g}, interquartile range \
{spread} |
| noise | {noise} |
| written by | bids-harmonize {code_version}, format {card_version} |
| sha256 of the numbers | `{sha256}` |

## What is in it
For each block of 48 mm of the head: how many voxels are how bright, and how strong the edges are,
as the mean over all people. There is no image, no position finer than 48 mm, no name, age, sex or
diagnosis, and no row for a person. Blocks at the rim of the head to which fewer than 10 people
contribute, or one person more than a quarter, are emptied: {emptied} of {n_cells}, with \
{emptied_share} of the voxels.

## Can one person be told from it?
Measured on the very people behind this card:

* **Leaving one person out** changes a block by {loo_mean} of the difference between people on
  average, and by {loo_largest} at most (one person, one block). With {n_people} people the
  average must be near {expected}.
* **Was this person among them?** Somebody who has a scan of the person from this scanner, made on
  the same grid, and the card: AUC {auc:.2f} (0.5 is guessing, 1 is certain; n = {n_people}).
* **The harder test**: somebody who besides has scans of half of the site's people, against a card
  of the other half: AUC {auc_informed:.2f}.
  {verdict}

These are measurements, not a guarantee. Whoever already has the exact numbers of all people but
one can compute that one's by subtraction. What could be learnt is that a person, whose scan one
already has, was scanned here.

## Where it fails
* It knows {site} as these people were scanned. If they differ from yours in age or diagnosis, part
  of that difference is taken for the scanner.
* It must be used on images made by the same steps (grid, masks, no other bias correction).
"""

_TOLD = (
    "**So a well-informed person can often tell.** Weigh that before publishing; more people or\n"
    "  `--card-noise` lower it."
)
_UNTOLD = "With so few people such a figure is rough."
_TOLD_FROM = 0.7


def card_readme(model: Mapping[str, Any], *, n_bytes: int) -> str:
    """Markdown text in plain words.

    Parameters
    ----------
    model
        What stands in the card's ``model.json``.
    n_bytes
        Size of the card's numbers and description.

    Returns
    -------
    str
        For ``README.md`` beside them.
    """
    loo, told, emptied = model["leave_one_out"], model["membership"], model["emptied_cells"]
    noise = "none"
    if model["card_noise"]:
        noise = f"{model['card_noise']:g} times what leaving one person out changes at most"
    return _CARD.format(
        site=model["reference_site"],
        **{
            key: model[key]
            for key in (
                "n_people", "n_scans", "licence", "voxel_size_mm", "study_voxel_size_mm",
                "scaling_mask", "high_ref", "code_version", "card_version", "sha256",
            )
        },
        people=f"; {model['people']}" if model.get("people") else "",
        n_cells=emptied["of"],
        size_kb=n_bytes / 1000,
        sizes=" x ".join(map(str, model["shape"])),
        spread=f"{100 * model['high_spread']:.2g} %",
        noise=noise,
        emptied=emptied["n"],
        emptied_share=f"{100 * emptied['share_of_voxels']:.2g} %",
        loo_mean=f"{100 * loo['mean']:.1f} %",
        loo_largest=f"{100 * loo['largest']:.1f} %",
        expected=f"{100 / model['n_people']:.1f} %",
        auc=told["auc"],
        auc_informed=told["auc_informed"],
        verdict=_TOLD if told["auc_informed"] > _TOLD_FROM else _UNTOLD,
    )  # fmt: skip
