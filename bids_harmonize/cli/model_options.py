"""``--model-dir`` with a harmonizer: what comes from the model, and which options contradict it.

Choice: the voxel size, the grid and the head scaling of the model are written into the settings
before these are checked. Reason: whoever has a model need not know its study's options, and the
resolved settings in ``logs`` are those that were used. Rejected: comparing resolved settings, in
which a default cannot be told from a wish. Revisit if options come to know who set them.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from bids_harmonize.bids.model_folders import (
    HarmonizerModel,
    choose_harmonizer,
    classifier_model,
    combat_model,
    harmonizers_in,
)
from bids_harmonize.config import Settings
from bids_harmonize.stages import HARMONIZE

_SAME_MM = 1e-3


def take_from_model(values: MutableMapping[str, Any], levels: Sequence[str]) -> list[str]:
    """Fill what the model decides into the values; what contradicts it comes back.

    Parameters
    ----------
    values
        Section to its entries as given, before defaults; changed.
    levels
        ``participant``, ``group`` or both.

    Returns
    -------
    list of str
        One sentence a fault, with what to do.
    """
    group, site = _section(values, "group"), _section(values, "site")
    model_dir, stages = group.get("model_dir"), group.get("stages")
    if not isinstance(model_dir, str) or (stages is not None and HARMONIZE not in stages):
        return []
    if group.get("features"):
        return []  # tables know no harmonizer
    name, reference_site = _text(group, "harmonizer"), _text(site, "reference_site")
    chosen, fault = choose_harmonizer(
        Path(model_dir),
        name=name,
        reference_site=reference_site,
        default=Settings().group.harmonizer,
    )
    if chosen is not None:
        faults = _faults(values, chosen)
        if not faults:
            _fill(values, chosen)
        return faults
    must = stages is not None or name is not None or "group" not in levels
    folder = Path(model_dir)
    if not must and (classifier_model(folder) or combat_model(folder)) is not None:
        return []
    # All models of a folder come from one study: what else contradicts it can be told by any.
    others = harmonizers_in(Path(model_dir))
    return [fault, *(_shape_faults(values, others[0]) if others else [])]


def _faults(values: Mapping[str, Any], chosen: HarmonizerModel) -> list[str]:
    return [
        *_shape_faults(values, chosen),
        *_mask_faults(values, chosen),
        *_training_faults(values, chosen),
    ]


def _shape_faults(values: Mapping[str, Any], chosen: HarmonizerModel) -> list[str]:
    size, shape = _grid_of(chosen)
    given = _section(values, "preprocessing")
    faults = []
    asked = _number(given.get("resolution_mm"))
    if size is not None and asked is not None and abs(asked - size) > _SAME_MM:
        faults.append(
            f"--resolution {asked:g}: the model in {chosen.folder} works on voxels of {size:g} "
            "mm; leave the option out"
        )
    wanted = given.get("grid_shape")
    numbers = [_number(word) for word in wanted] if isinstance(wanted, list | tuple) else []
    if shape and numbers and None not in numbers and numbers != shape:
        faults.append(
            f"--grid-shape {_by(numbers)}: the model in {chosen.folder} works on {_by(shape)} "
            "voxels; leave the option out"
        )
    return faults


def _mask_faults(values: Mapping[str, Any], chosen: HarmonizerModel) -> list[str]:
    """Faults of options that would leave the model without the mask that sets its unit."""
    given = _section(values, "preprocessing")
    method = _text(given, "brain_mask")
    derivatives = _section(values, "selection").get("derivatives")
    scaling = chosen.model.get("scaling_mask")
    if scaling == "brain" and method == "none" and not derivatives:
        return [
            f"--brain-mask none: the model in {chosen.folder} takes its unit in the brain mask; "
            "leave the option out, or bring masks with -d"
        ]
    if scaling == "head" and (derivatives or method not in (None, "none")):
        option = "-d" if derivatives else f"--brain-mask {method}"
        return [
            f"{option}: the model in {chosen.folder} was made without brain masks; leave the "
            "option out"
        ]
    return []


def _training_faults(values: Mapping[str, Any], chosen: HarmonizerModel) -> list[str]:
    """Faults of options that shape training: nothing is trained, so they would do nothing."""
    faults = []
    own = _section(chosen.model, "settings")
    others = {
        key: value
        for key, value in _section(values, "harmonizer").items()
        if key not in own or value != own[key]
    }
    for key, value in others.items():
        faults.append(
            f"[harmonizer] {key} = {value!r}: the model in {chosen.folder} was trained with "
            f"{own.get(key, 'no such setting')!r}, and nothing is trained now; leave it out"
        )
    sources = _text(_section(values, "group"), "sources")
    if sources is not None and sources != _sources_of(chosen):
        faults.append(
            f"--sources {sources}: the model in {chosen.folder} is {_sources_of(chosen)}; leave "
            "the option out"
        )
    trained = _number(_section(chosen.model, "learnt").get("network_voxel_size_mm"))
    asked = _number(_section(values, "group").get("network_resolution_mm"))
    if asked is not None and trained is not None and abs(asked - trained) > _SAME_MM:
        faults.append(
            f"--network-resolution {asked:g}: the model in {chosen.folder} was trained at "
            f"{trained:g} mm; leave the option out"
        )
    wanted, losses = _text(_section(values, "group"), "sub_boxes"), _loss_size(chosen)
    if wanted in ("on", "off") and trained is not None and losses is not None:
        own_word = "on" if losses < trained - _SAME_MM else "off"
        if wanted != own_word:
            faults.append(
                f"--sub-boxes {wanted}: the model in {chosen.folder} was trained with {own_word}, "
                "and nothing is trained now; leave the option out"
            )
    correction = _text(_section(values, "preprocessing"), "bias_correction")
    was = _section(chosen.model, "preprocessing").get("bias_correction")
    if correction is not None and was is not None and correction != was:
        faults.append(
            f"--bias-correction {correction}: the model in {chosen.folder} was trained on images "
            f"with --bias-correction {was}; leave the option out"
        )
    return faults


def _fill(values: MutableMapping[str, Any], chosen: HarmonizerModel) -> None:
    """Write what the model decides where nothing was said."""
    from bids_harmonize.imaging.grid import study_shape

    size, shape = _grid_of(chosen)
    own: dict[str, Any] = {}
    if size is not None:
        own["resolution_mm"] = size
        if shape and tuple(shape) != study_shape(size):
            own["grid_shape"] = tuple(int(length) for length in shape)
    if chosen.model.get("scaling_mask") == "head":
        own["brain_mask"] = "none"
    if (was := _section(chosen.model, "preprocessing").get("bias_correction")) is not None:
        own["bias_correction"] = was
    values["preprocessing"] = {**own, **_section(values, "preprocessing")}
    learnt = {"harmonizer": chosen.name, "sources": _sources_of(chosen)}
    values["group"] = {**_section(values, "group"), **learnt}
    values["site"] = {**_section(values, "site"), "reference_site": chosen.reference_site}


def _sources_of(chosen: HarmonizerModel) -> str:
    """``joint`` or ``pairwise``, which models of earlier versions do not say."""
    return _text(chosen.model, "sources") or "pairwise"


def _loss_size(chosen: HarmonizerModel) -> float | None:
    """Voxel size of the losses, mm; models of earlier versions took them where networks saw."""
    learnt = _section(chosen.model, "learnt")
    return _number(learnt.get("loss_voxel_size_mm", learnt.get("network_voxel_size_mm")))


def _grid_of(chosen: HarmonizerModel) -> tuple[float | None, list[float]]:
    shape = _section(chosen.model, "grid").get("shape") or ()
    return _number(chosen.model.get("voxel_size_mm")), [float(length) for length in shape]


def _number(value: Any) -> float | None:
    """The number in a word; ``None`` where there is none: what is no number is told elsewhere."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _text(section: Mapping[str, Any], name: str) -> str | None:
    value = section.get(name)
    return value if isinstance(value, str) else None


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    return section if isinstance(section, Mapping) else {}


def _by(numbers: Sequence[Any]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
