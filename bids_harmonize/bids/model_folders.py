"""Folders of trained harmonizers, as ``--model-dir`` names them; known by their ``model.json``.

Only the description is read here, so that options are checked before anything heavy is loaded.
Whether the weights are whole is found when the model is loaded.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_harmonize.bids.names import classifier_in

CLASSIFIER = "site_classifier"
"""What ``kind`` in the ``model.json`` of a site classifier says."""

COMBAT = "combat"
"""What that of a ComBat says, and the name of its folder."""

_JSON = "model.json"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class HarmonizerModel:
    """A harmonizer's folder and what its ``model.json`` says."""

    folder: Path
    model: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its row in the table of harmonizers."""
        return str(self.model["name"])

    @property
    def reference_site(self) -> str:
        """The real name of the site that it harmonizes to."""
        return str(self.model["reference_site"])

    @property
    def words(self) -> str:
        """For a list in a message."""
        return f"{self.name} to {self.reference_site}"


def harmonizers_in(model_dir: Path) -> tuple[HarmonizerModel, ...]:
    """The harmonizers in a folder of models, or the one that the folder itself is.

    Parameters
    ----------
    model_dir
        ``models`` of some run, or one ``<harmonizer>_to-<Reference>`` in it.

    Returns
    -------
    tuple of HarmonizerModel
        Sorted by folder; empty where there is none.
    """
    folders = [model_dir] if (model_dir / _JSON).is_file() else sorted(model_dir.glob("*_to-*"))
    found = [HarmonizerModel(folder, read_model(folder)) for folder in folders]
    return tuple(one for one in found if {"name", "reference_site"} <= set(one.model))


def choose_harmonizer(
    model_dir: Path, *, name: str | None, reference_site: str | None, default: str
) -> tuple[HarmonizerModel | None, str]:
    """The harmonizer that is asked for, or why there is none.

    Parameters
    ----------
    model_dir
        ``models`` of some run, or one harmonizer's folder.
    name, reference_site
        What ``--harmonizer`` and ``--reference-site`` say; ``None`` where they were not given.
    default
        The name taken where a folder of models has several and none was asked for.

    Returns
    -------
    tuple
        The model and no words, or ``None`` and a sentence for the user.
    """
    found = harmonizers_in(model_dir)
    if not found:
        return None, f"--model-dir {model_dir}: {_why_none(model_dir)}"
    listed = ", ".join(one.words for one in found)
    is_one = found[0].folder == model_dir
    wanted = name or (found[0].name if is_one else default)
    asked = [
        f"{option} {value}"
        for option, value in (("--harmonizer", name), ("--reference-site", reference_site))
        if value is not None
    ]
    fitting = [
        one for one in found if one.name == wanted and reference_site in (None, one.reference_site)
    ]
    if len(fitting) == 1:
        return fitting[0], ""
    if not fitting:
        said = " ".join(asked) or f"the default {default}"
        return None, (
            f"{said}: --model-dir {model_dir} holds {listed}; reference site and method come from "
            "the model: name one that is there"
        )
    return None, (
        f"--model-dir {model_dir} holds {', '.join(one.words for one in fitting)}; say which with "
        "--reference-site"
    )


def classifier_model(model_dir: Path) -> Path | None:
    """Folder of the site classifier in a folder of models; a harmonizer's folder has none."""
    folder = classifier_in(model_dir)
    model = {} if folder is None else read_model(folder)
    is_other = model.get("kind", CLASSIFIER) != CLASSIFIER or "reference_site" in model
    return None if is_other else folder


def combat_model(model_dir: Path) -> Path | None:
    """Folder of the ComBat in a folder of models, or the folder itself if it is one."""
    folders = (model_dir / COMBAT, model_dir)
    return next((one for one in folders if read_model(one).get("kind") == COMBAT), None)


def read_model(folder: Path) -> dict[str, Any]:
    """What ``model.json`` says; empty where it is absent or broken."""
    try:
        model = json.loads((folder / _JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return model if isinstance(model, dict) else {}


def _why_none(model_dir: Path) -> str:
    expected = (
        "expected the folder models/ of a run of the stage harmonize, or one "
        "<harmonizer>_to-<Reference> in it"
    )
    if not model_dir.is_dir():
        return f"no such folder; {expected}"
    if (model_dir / _JSON).is_file():
        kind = read_model(model_dir).get("kind")
        found = f"a {str(kind).replace('_', ' ')}" if kind else "another model"
        if not read_model(model_dir):
            found = f"a {_JSON} that is no JSON object"
        return f"no harmonizer in it, but {found}; {expected}"
    folders = [model_dir, *sorted(model_dir.glob("*_to-*"))]
    broken = [str(folder) for folder in folders if (folder / _WEIGHTS).is_file()]
    if broken:
        return (
            f"{', '.join(broken)} has {_WEIGHTS} but no readable {_JSON}, which is written last: "
            "its writing or copying was interrupted; copy it again, or run harmonize again"
        )
    inside = model_dir / "models"
    hint = f"; there are some in {inside}" if harmonizers_in(inside) else ""
    return f"no harmonizer in it; {expected}{hint}"
