"""Options about a reference without images that contradict others, or name what is not there.

Such a reference is that of a card, or the median of all sites.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bids_harmonize.config import MEDIAN_REFERENCE, Settings

CARD_HARMONIZER = "localhistogram"
CARD_SETTINGS = frozenset(
    ("n_iterations", "check_every", "learning_rate", "histogram_weight", "smoothness_weight")
)
"""Settings of that harmonizer that need no image of the reference."""
_SAME_MM = 1e-3


def default_harmonizer(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the one harmonizer that needs no image of the reference, if none is named.

    Parameters
    ----------
    values
        Section to what was given, before it is checked.

    Returns
    -------
    dict
        Unchanged where the reference has images.
    """
    group, site = values.get("group", {}), values.get("site", {})
    if not (isinstance(group, Mapping) and isinstance(site, Mapping)):
        return dict(values)  # found when the settings are checked
    is_median = site.get("reference_site") == MEDIAN_REFERENCE and not group.get("model_dir")
    if not group.get("reference_card") and not is_median:
        return dict(values)
    return {**values, "group": {"harmonizer": CARD_HARMONIZER, **group}}


def with_card_site(settings: Settings) -> Settings:
    """The settings with the site of the cards as reference site; needs :func:`card_faults`."""
    if not settings.group.reference_card:
        return settings
    site = _joint_site(settings)
    return replace(settings, site=replace(settings.site, reference_site=site))


def card_faults(settings: Settings, levels: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """What is wrong about the options on cards and on the virtual reference.

    Parameters
    ----------
    settings
        Of the run; each value is right by itself.
    levels
        ``participant``, ``group`` or both.
    given
        The harmonizer's settings that were named.

    Returns
    -------
    list of str
        One sentence a fault, with what to do. What is wrong inside a card's files is found when
        they are read, and is no fault of the command line.
    """
    group = settings.group
    faults = []
    asked = {"--export-card": group.export_card, "--reference-card": bool(group.reference_card)}
    for option in (option for option, wanted in asked.items() if wanted):
        if "group" not in levels:
            faults.append(f"{option} is used by the group level; add the word group")
        if group.features:
            faults.append(f"{option} goes ill with --features: a card is about images")
        if group.model_dir is not None:
            faults.append(f"{option} goes ill with --model-dir, which fits nothing")
    if all(asked.values()):
        faults.append(
            "--export-card goes ill with --reference-card: the reference's images are elsewhere; "
            "run --export-card by itself for a site of this study"
        )
    if not group.export_card:
        faults += [
            f"{option} goes with --export-card"
            for option, changed in (
                ("--card-noise", group.card_noise != 0),
                ("--card-licence", group.card_licence != type(group).card_licence),
            )
            if changed
        ]
    if group.reference_card:
        return (
            faults
            + _imageless_faults(settings, given, "--reference-card")
            + _file_faults(settings)
        )
    if settings.site.reference_site == MEDIAN_REFERENCE and group.model_dir is None:
        faults += _imageless_faults(settings, given, f"--reference-site {MEDIAN_REFERENCE}")
        if group.export_card:
            faults.append(
                f"--export-card goes ill with --reference-site {MEDIAN_REFERENCE}: a card is of "
                "one site; name the site, or export a card of each and give them all to "
                "--reference-card"
            )
    return faults


def _imageless_faults(settings: Settings, given: Mapping[str, Any], option: str) -> list[str]:
    """What needs images of the reference, where the option leaves none."""
    group = settings.group
    faults = []
    if group.harmonizer != CARD_HARMONIZER:
        faults.append(
            f"--harmonizer {group.harmonizer} needs images of the reference; with {option} it is "
            f"{CARD_HARMONIZER}, so leave the option out"
        )
    faults += [
        f"harmonizer.{name} has no use with {option}, which gives no image of the reference; "
        "leave it out"
        for name in sorted(set(given) - CARD_SETTINGS)
    ]
    if group.sources != "pairwise":
        faults.append(
            f"--sources {group.sources} has no use with {option}, which trains one generator a "
            "source site; leave it out"
        )
    if group.sub_boxes == "on":
        faults.append(
            f"--sub-boxes on has no use with {option}, whose histograms hold for one voxel size; "
            "leave it out"
        )
    return faults


def _file_faults(settings: Settings) -> list[str]:
    """What the cards' files say against other options."""
    group = settings.group
    faults = [
        f"--reference-card {path}: no such folder; expected a folder that --export-card wrote, "
        "such as models/card_<Site>"
        for path in group.reference_card
        if not Path(path).is_dir()
    ]
    site, wanted = _joint_site(settings), settings.site.reference_site
    if site == MEDIAN_REFERENCE:
        faults.append(
            f"--reference-card: the card is of a site named {site!r}, the word for the median of "
            "all sites; ask its site to export it under another name"
        )
    if site and wanted not in (None, site):
        faults.append(
            f"--reference-site {wanted}: the card is of {site}; leave the option out, or give the "
            f"card of {wanted}"
        )
    sizes = {model["voxel_size_mm"] for model in _models(settings) if "voxel_size_mm" in model}
    size = group.network_resolution_mm
    faults += [
        f"--network-resolution {size:g}: the card is on voxels of {own:g} mm, which are taken; "
        "leave the option out"
        for own in sorted(sizes)
        if size is not None and abs(own - size) > _SAME_MM
    ]
    return faults


def _models(settings: Settings) -> list[dict[str, Any]]:
    """What each card says of itself; loading tells what is wrong with a broken one."""
    models = []
    for path in settings.group.reference_card:
        try:
            model = json.loads((Path(path) / "model.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        models += [model] if isinstance(model, dict) else []
    return models


def _joint_site(settings: Settings) -> str | None:
    """Name of the reference that the cards make together, as far as they can be read.

    As ``harmonizers.card.joint_name`` makes it, without importing PyTorch.
    """
    names = (model.get("reference_site") for model in _models(settings))
    return "+".join(sorted({str(name) for name in names if name})) or None
