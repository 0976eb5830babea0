"""What was measured of each model, written into its folder and onto its card.

Choice: ``evaluation.json`` beside the weights, from which the card is made again. Reason: a model
that is passed on takes its figures along, and one function writes the card. Rejected: editing the
card's text. A model that is fitted again loses the file, since its figures are another model's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluation.comparison import IDENTITY, person_means, primary_kind
from bids_harmonize.stages.evaluation.probe_choice import choose_probe
from bids_harmonize.stages.harmonization.files import EVALUATION, write_card
from bids_harmonize.stats import bootstrap_interval
from bids_harmonize.training.runtime import seeded_generator


def write_evaluations(
    context: StageContext,
    delivered: Mapping[str, Harmonizer],
    travelling: pd.DataFrame,
    probes: pd.DataFrame,
    lesions: pd.DataFrame,
) -> tuple[Path, ...]:
    """Write ``evaluation.json`` and the card of every model that lies in ``models/``.

    Parameters
    ----------
    context
        The study and its settings.
    delivered
        Name to the harmonizer that was evaluated.
    travelling, probes
        Rows of group_travelling.tsv and of group_siteprobe.tsv.
    lesions
        The frame of ``plant_lesions``.

    Returns
    -------
    tuple of Path
        What was written.
    """
    study = context.study
    files: list[Path] = []
    for name, harmonizer in delivered.items():
        folder = harmonizer_folder(study.output_dir, name, study.reference_site)
        if not (folder / "model.json").is_file():
            continue
        rng = seeded_generator(context.settings.run.random_seed, "evaluate", "card", name)
        found = measured(name, travelling, probes, lesions, rng=rng)
        write_json(folder / EVALUATION, found)
        files += [folder / EVALUATION, write_card(folder, harmonizer)]
    return tuple(files)


def measured(
    method: str,
    travelling: pd.DataFrame,
    probes: pd.DataFrame,
    lesions: pd.DataFrame,
    *,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The figures of a model's card.

    Parameters
    ----------
    method
        The harmonizer.
    travelling, probes
        Rows of group_travelling.tsv and of group_siteprobe.tsv.
    lesions
        The frame of ``plant_lesions``.
    rng
        Source of the bootstrap.

    Returns
    -------
    dict
        ``probe``: balanced accuracy ``before`` and ``after`` of the kind of freshly trained site
        probe that names the site of harmonized images best, mean over seeds (before: see
        ``ChosenProbe``). ``gain``: brain PSNR
        over no harmonization, dB. ``lesions``: ``contrast`` and ``volume`` that are left of dark
        and bright ones, 1 is best. Each has a ``reason`` instead where nothing was measured.
    """
    return {
        "method": method,
        "probe": _probe(method, probes),
        "gain": _gain(method, travelling, rng),
        "lesions": _lesions(method, lesions),
    }


def _probe(method: str, probes: pd.DataFrame) -> dict[str, Any]:
    chosen = choose_probe(probes, method)
    if chosen is None or chosen.raw.empty:
        return {"reason": "no probe was trained afresh on images of this method"}
    return {
        "kind": chosen.kind,
        "before": _means(chosen.raw),
        "after": _means(chosen.rows),
        "chance": float(chosen.rows["chance"].iloc[0]),
        "n": int(chosen.rows["n"].iloc[0]),
        "n_probes": len(chosen.rows),
    }


def _means(rows: pd.DataFrame) -> dict[str, float]:
    columns = {"mean": "balanced_accuracy", "low": "low", "high": "high"}
    return {key: float(rows[column].astype(float).mean()) for key, column in columns.items()}


def _lesions(method: str, lesions: pd.DataFrame) -> dict[str, Any]:
    own = lesions[lesions["method"] == method]
    if own.empty:
        return {"reason": "no lesion was put into scans for this method"}
    means = own.groupby("lesion")[["contrast", "volume"]].mean()
    return {
        "contrast": {str(kind): float(value) for kind, value in means["contrast"].items()},
        "volume": {str(kind): float(value) for kind, value in means["volume"].items()},
        "n": int(own["participant_id"].nunique()),
    }


def _gain(method: str, travelling: pd.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
    people = person_means(travelling)
    if method not in people.columns or IDENTITY not in people.columns:
        return {"reason": "no travelling subject was scored"}
    gains = (people[method] - people[IDENTITY]).dropna().to_numpy()
    if gains.size < 2:
        return {"reason": f"{gains.size} travelling subject(s) were scored, two are needed"}
    low, high = bootstrap_interval(gains, rng=rng)
    numbers = {"mean": float(gains.mean()), "low": low, "high": high, "n": int(gains.size)}
    return {"kind": primary_kind(travelling), **numbers}
