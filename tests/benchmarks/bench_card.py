"""What a reference card costs in quality, and what it tells: a phantom with travelling subjects.

``python -m tests.benchmarks.bench_card FOLDER --per-site 12 --travelling 6`` makes a phantom of
two sites, exports the card of the first, trains ``localhistogram`` from the second to the first
once from the images with the full recipe, once from the images without what needs images of the
reference (the identity term, telling people from sites), and once from the card, and compares all
on the travelling subjects. Masks are the phantom's truth.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.bids.names import card_folder
from bids_harmonize.bids.study import load_study
from bids_harmonize.config import ResourceSettings, Settings, make_settings
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.phantom import write_study
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluate import method_of
from bids_harmonize.stages.evaluation.comparison import person_means
from bids_harmonize.stages.evaluation.travelling import score_travelling, site_levels
from bids_harmonize.stages.harmonization.card import export_card
from bids_harmonize.stages.harmonization.models import load_training_set
from bids_harmonize.training.runtime import make_runtime
from tests.benchmarks.true_derivative import write_derivative

REFERENCE = "SiteA"


def measure(folder: Path, *, n_per_site: int, n_travelling: int, seed: int, noise: float) -> dict:
    """All figures of one phantom; brain PSNR in dB, mean over travelling people.

    Parameters
    ----------
    folder
        Gets the phantom, its derivative and the models.
    n_per_site, n_travelling
        Size of the study.
    seed
        Of the phantom and of the training.
    noise
        ``--card-noise``.

    Returns
    -------
    dict
        psnr by method, size, checks of the card, and seconds.
    """
    write_study(
        folder / "bids", n_sites=2, n_per_site=n_per_site, n_travelling=n_travelling,
        resolution_mm=4.0, seed=seed,
    )  # fmt: skip
    out = folder / "out"
    write_derivative(folder / "bids", out, resolution_mm=4.0)
    export = {"export_card": True, "card_noise": noise, "card_licence": "CC0-1.0"}
    export_card(_context(folder, seed, {"group": export, **_reference()}))
    card = card_folder(out, REFERENCE)
    model = json.loads((card / "model.json").read_text())
    runs = {
        "images": {"group": {"harmonizer": "localhistogram"}, **_reference()},
        "images_terms_off": {
            "group": {"harmonizer": "localhistogram"}, **_reference(),
            "harmonizer": {"identity_weight": 0.0, "splits_differences": False},
        },
        "card": {
            "group": {"harmonizer": "localhistogram", "reference_card": (str(card),)},
            **_reference(),
        },
    }  # fmt: skip
    people: dict[str, Any] = {}
    seconds = {}
    for name, values in runs.items():
        context = _context(folder / name, seed, values, out=out)
        started = time.process_time()
        data = load_training_set(context)
        fitted = data.fit("localhistogram", context.study.eligible, part=None, new=folder / name)
        seconds[name] = round(time.process_time() - started, 1)
        people[name] = _psnr(context, fitted.harmonizer, folder / "registrations")
    people["raw"] = _psnr(context, data.fit(
        "identity", context.study.eligible, part=None, new=folder / name
    ).harmonizer, folder / "registrations")  # fmt: skip
    gap = (people["card"] - people["images"]).to_numpy()
    return {
        "psnr_db": {name: round(float(values.mean()), 2) for name, values in people.items()},
        "card_minus_images_db": [round(float(gap.mean()), 2), round(float(gap.std(ddof=1)), 2)],
        "n_travelling": len(gap),
        "card_kb": round(sum(p.stat().st_size for p in card.iterdir()) / 1000, 1),
        "n_people": model["n_people"],
        "leave_one_out": {key: model["leave_one_out"][key] for key in ("largest", "mean")},
        "membership": {key: model["membership"][key] for key in ("auc", "auc_informed")},
        "emptied_cells": model["emptied_cells"],
        "train_cpu_s": seconds,
    }


def _reference() -> dict[str, Any]:
    return {"site": {"reference_site": REFERENCE}}


def _context(
    folder: Path, seed: int, values: Mapping[str, Any], *, out: Path | None = None
) -> StageContext:
    settings: Settings = make_settings({**values, "run": {"random_seed": seed}}, source="bench")
    return StageContext(
        study=load_study(out or folder / "out", settings=settings),
        settings=settings,
        work_dir=folder / "work",
        run_id="bench",
        runtime=make_runtime(ResourceSettings(device="cpu", nprocs=1)),
    )


def _psnr(context: StageContext, harmonizer: Harmonizer, work: Path) -> Any:
    """Brain PSNR of kind direct, one value a person."""
    study = context.study
    scores = score_travelling(
        study, [method_of(harmonizer)], levels=site_levels(study), work_dir=work
    )
    return person_means(scores.frame)[harmonizer.name]


def main() -> None:
    """Print the figures of one phantom as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-site", type=int, default=12)
    parser.add_argument("--travelling", type=int, default=6)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--noise", type=float, default=0.0)
    words = parser.parse_args()
    found = measure(
        words.folder, n_per_site=words.per_site, n_travelling=words.travelling, seed=words.seed,
        noise=words.noise,
    )  # fmt: skip
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
