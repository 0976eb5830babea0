"""A fitted ComBat on disk: weights, description, who was fitted on, and a model card."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.model_folders import COMBAT as KIND
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stats.combat import Combat
from bids_harmonize.training.checkpoint import load_weights, save_weights

_ARRAYS = ("grand_mean", "coefficients", "variance", "gamma", "delta")
_CARD = """\
# ComBat of a table of features

Takes the shift and the spread of the site out of {n_features} features of a person.

* **Method**: ComBat, empirical Bayes with parametric priors, no reference site (Johnson 2007,
  doi:10.1093/biostatistics/kxj037; Fortin 2018, doi:10.1016/j.neuroimage.2017.11.024).
* **Fitted on** {n_people} people of {n_sites} sites (`training.tsv`), one row a person{whom}.
* **Features**, in the units and the order of the table: {features}.
* **Kept**: {covariates}.
* **Licence of the data**: {license}.

| site | people |
|---|---|
{sites}

## What it may change
Every feature is shifted, and drawn together or apart, by two numbers a site and feature; people of
one site keep their order where the covariates are equal. The effects of the covariates above are
kept as they are. All else that sets people of one site apart, a disorder too, is scaled with the
spread of the site.

## Where it fails
* It knows the sites above alone; another scanner at one of them is another site.
* Shift and spread of a site with few people are drawn towards those of its other features. One
  person gives no spread: such a site is shifted only.
* **The site can still be found** by what is neither shift nor spread of one feature: how features
  go together, curves of age, tails.
* If the sites differ in who was scanned beyond the covariates above, part of that difference is
  taken for the scanner.
* People in `training.tsv` are seen, others are not: comparing the two compares that too.

## Before you pass it on
`training.tsv` names people, and the numbers of a site with very few of them say something about
each.
"""
_MOST_NAMED = 8


@dataclass(frozen=True, eq=False)
class CombatModel:
    """A fitted ComBat and what its numbers belong to.

    Attributes
    ----------
    combat
        The fit.
    features
        Names of its features, in order.
    covariates
        Name to coding and unit of each column of its design (``{"age": "years", "male": "1 for
        men, 0 for women"}``), in order.
    fitted_on
        One phrase on whose rows it was fitted; may be empty.
    """

    combat: Combat
    features: tuple[str, ...]
    covariates: Mapping[str, str]
    fitted_on: str


def save_combat(
    folder: Path, model: CombatModel, *, people: Mapping[str, str], provenance: Mapping[str, Any]
) -> tuple[Path, ...]:
    """Write a fitted ComBat.

    Parameters
    ----------
    folder
        Gets ``training.tsv``, ``README.md``, ``model.safetensors`` and, last, ``model.json``;
        made where absent.
    model
        What to write.
    people
        Participant, with ``sub-``, to site: those that it was fitted on.
    provenance
        More to keep in ``model.json``: the table and its SHA-256, run, settings, and
        ``training_data_license``.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    ValueError
        If names and numbers of columns differ, a name is there twice, or the people are not as
        many at each site as were fitted on.
    OutputError, StorageError
        If a file cannot be written.
    """
    _check_names(model)
    combat = model.combat
    n_people = dict(zip(combat.sites, combat.n_people.tolist(), strict=True))
    found = Counter(people.values())
    if found != n_people:
        message = f"ComBat was fitted on {n_people}, and the people given are {dict(found)}"
        raise ValueError(message)
    table = pd.DataFrame(sorted(people.items()), columns=["participant_id", "site"])
    text = table.to_csv(sep="\t", index=False, lineterminator="\n")
    write_text(folder / "training.tsv", text)
    write_text(folder / "README.md", _card(model, provenance.get("training_data_license")))
    described = {
        **provenance,
        "kind": KIND,
        "fitted_on": model.fitted_on,
        "sites": list(combat.sites),
        "n_people": n_people,
        "features": list(model.features),
        "covariates": [{"name": name, "coding": say} for name, say in model.covariates.items()],
    }
    tensors = {name: torch.from_numpy(np.array(getattr(combat, name))) for name in _ARRAYS}
    save_weights(folder, tensors, described)
    names = ("training.tsv", "README.md", "model.safetensors", "model.json")
    return tuple(folder / name for name in names)


def load_combat(folder: Path) -> CombatModel:
    """The ComBat in a folder; equal bits to the one that was saved.

    Parameters
    ----------
    folder
        What :func:`save_combat` wrote.

    Returns
    -------
    CombatModel
        Ready to transform.

    Raises
    ------
    UnusableDataError
        If the folder does not hold a whole ComBat that this version can read.
    """
    tensors, model = load_weights(folder)
    if model.get("kind") != KIND:
        message = (
            f"{folder}: holds a {model.get('kind')!r}, expected a {KIND!r}; give the folder "
            "models/combat of a run"
        )
        raise UnusableDataError(message)
    try:
        sites = tuple(map(str, model["sites"]))
        n_people = np.array([model["n_people"][site] for site in sites], dtype=np.int64)
        arrays = {name: tensors[name].numpy() for name in _ARRAYS}
        found = CombatModel(
            combat=Combat(sites, n_people, **arrays),
            features=tuple(model["features"]),
            covariates={row["name"]: row["coding"] for row in model["covariates"]},
            fitted_on=str(model["fitted_on"]),
        )
        _check_names(found)
        _check_arrays(found.combat)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = (
            f"{folder}: written by version {model.get('code_version')}, and its numbers and names "
            f"do not make a ComBat ({error}); use that version, or fit again"
        )
        raise UnusableDataError(message) from error
    return found


def _check_names(model: CombatModel) -> None:
    """Raise ValueError where columns and their names do not belong together."""
    n_covariates, n_features = model.combat.coefficients.shape
    found = (len(model.covariates), len(set(model.features)), len(model.features))
    if found != (n_covariates, n_features, n_features):
        message = (
            f"found {found[0]} names of covariates and {found[1]} different ones of features, "
            f"expected {n_covariates} and {n_features}"
        )
        raise ValueError(message)


def _check_arrays(combat: Combat) -> None:
    """Raise ValueError where arrays do not belong together, or nothing can be divided by them."""
    n_covariates, n_features = combat.coefficients.shape
    of_sites = (len(combat.sites), n_features)
    shapes = ((n_features,), (n_covariates, n_features), (n_features,), of_sites, of_sites)
    for name, shape in zip(_ARRAYS, shapes, strict=True):
        values = getattr(combat, name)
        if values.dtype != np.float64 or values.shape != shape or not np.isfinite(values).all():
            message = f"{name} is {values.dtype} {values.shape}, expected finite float64 {shape}"
            raise ValueError(message)
        if name in {"variance", "delta"} and not (values > 0).all():
            message = f"{name} has values that are not above 0"
            raise ValueError(message)


def _card(model: CombatModel, license_name: str | None) -> str:
    combat, names = model.combat, model.features
    kept = "; ".join(f"{name} ({coding})" for name, coding in model.covariates.items())
    more = (
        f" and {len(names) - _MOST_NAMED} more (`model.json`)" if len(names) > _MOST_NAMED else ""
    )
    counts = zip(combat.sites, combat.n_people.tolist(), strict=True)
    return _CARD.format(
        n_features=len(names),
        n_people=int(combat.n_people.sum()),
        n_sites=len(combat.sites),
        whom=f"; {model.fitted_on}" if model.fitted_on else "",
        features=", ".join(names[:_MOST_NAMED]) + more,
        covariates=kept or "no covariate",
        license=license_name or "unknown; fill in before you pass the model on",
        sites="\n".join(f"| {site} | {n} |" for site, n in counts),
    )
