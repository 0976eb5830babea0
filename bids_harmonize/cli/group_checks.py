"""Options of the group level that contradict each other, or name what is not there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bids_harmonize.bids.names import classifier_in
from bids_harmonize.config import GroupSettings, Settings, SiteSettings
from bids_harmonize.errors import UsageError
from bids_harmonize.harmonizers import HARMONIZERS, check_sources
from bids_harmonize.stages import applies_models

_KIND = "site_classifier"
_SAME_MM = 1e-3


def group_faults(settings: Settings, levels: Sequence[str]) -> list[str]:
    """What is wrong about ``--sources``, ``--model-dir``, ``--features`` and ``--atlas``.

    Parameters
    ----------
    settings
        Of the run; each value is right by itself.
    levels
        ``participant``, ``group`` or both.

    Returns
    -------
    list of str
        One sentence a fault, with what to do.
    """
    group = settings.group
    faults = []
    if group.harmonizer in HARMONIZERS:
        faults += _sources_faults(group)
    if group.model_dir is not None:
        faults += _model_faults(Path(group.model_dir), group, levels)
    if group.features:
        faults += _feature_faults(group, settings.site, levels)
    elif group.feature_columns:
        faults.append("--feature-columns goes with --features, which names the table")
    if group.atlas is not None:
        faults += _atlas_faults(group.atlas, group, levels)
    return faults


def _atlas_faults(atlas: str, group: GroupSettings, levels: Sequence[str]) -> list[str]:
    useless = {
        "the group level uses it; add the word group": "group" not in levels,
        "--features has no image and so no saliency map": bool(group.features),
        "--model-dir makes no saliency map": group.model_dir is not None,
        "the stage classify uses it; add it to --stages": "classify"
        not in (group.stages or ("classify",)),
    }
    faults = [f"--atlas: {words}, or leave it out" for words, given in useless.items() if given]
    if not Path(atlas).is_file():
        faults.append(f"--atlas {atlas}: no such file; expected a NIfTI label image")
    return faults


def _sources_faults(group: GroupSettings) -> list[str]:
    try:
        check_sources(group.harmonizer, group.sources)
    except UsageError as error:
        return [str(error)]
    return []


def _model_faults(model_dir: Path, group: GroupSettings, levels: Sequence[str]) -> list[str]:
    faults = []
    if "group" not in levels:
        faults.append("--model-dir is used by the group level; add the word group")
    if group.features:
        faults.append("--model-dir goes ill with --features: its models look at images")
    waiting = [name for name in group.stages or () if not applies_models(name)]
    if waiting:
        faults.append(
            f"--stages {' '.join(waiting)} cannot use --model-dir yet: only the site classifier "
            "is applied; leave them out, or run them without --model-dir"
        )
    folder = classifier_in(model_dir)
    model = _read_model(folder) if folder else {}
    if folder is None or model.get("kind", _KIND) != _KIND:
        found = "no such folder" if not model_dir.is_dir() else "no site classifier in it"
        faults.append(
            f"--model-dir {model_dir}: {found}; expected the folder models/ of a run of the stage "
            "classify, or models/classifier itself"
        )
    size, wanted = model.get("voxel_size_mm"), group.network_resolution_mm
    if isinstance(size, float) and wanted is not None and abs(size - wanted) > _SAME_MM:
        faults.append(
            f"--network-resolution {wanted:g}: the model in {folder} looks at voxels of {size:g} "
            "mm; leave the option out"
        )
    return faults


def _read_model(folder: Path) -> dict[str, Any]:
    """What ``model.json`` says; loading the model tells what is wrong with a broken one."""
    try:
        model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return model if isinstance(model, dict) else {}


def _feature_faults(group: GroupSettings, site: SiteSettings, levels: Sequence[str]) -> list[str]:
    faults = [
        f"--features {path}: no such file"
        for path in group.features.values()
        if not Path(path).is_file()
    ]
    if "participant" in levels:
        faults.append(
            "--features stands in for images, so there is nothing for the participant level to "
            "do; give the word group alone"
        )
    asked = {
        f"--site-source {site.site_source}": site.site_source not in ("auto", "participants"),
        "--site-from-session": site.site_from_session is not None,
    }
    faults += [
        f"{option} goes ill with --features: the site is read in --site-map, in the table, and "
        "in the participants.tsv of output_dir, in this order"
        for option, given in asked.items()
        if given
    ]
    return faults
