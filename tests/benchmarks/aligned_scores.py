"""The travellers of a simulated study scored where their scans truly lie: on one grid, unmoved.

The app registers every pair of scans. Here nobody moved, so the right answer is the identity: the
scores below need no registration, and :func:`misplacements_mm` says how far the app's is off.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.study import Study, load_study
from bids_harmonize.config import make_settings
from bids_harmonize.errors import DirectionError
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.metrics import load_metric
from bids_harmonize.stages.evaluate import method_of
from bids_harmonize.stages.evaluation.pairs import Pair, ScanImages, plan_pairs, read_scan_images
from bids_harmonize.stages.evaluation.travelling import Method

METRICS = ("psnr", "ssim")


def score_unmoved(study: Study, methods: Sequence[Method], *, seed: int) -> pd.DataFrame:
    """Methods in both directions, by the app's metrics.

    Parameters
    ----------
    study
        All scans of a traveller lie on one grid.
    methods
        With ``identity`` among them; see :func:`fitted_methods`.
    seed
        Of the study.

    Returns
    -------
    DataFrame
        kind, method, mask, metric, seed, mean over people, and the share of the gap to the second
        scan that is closed.
    """
    rows = [row for pair in plan_pairs(study) for row in _score(pair, methods, study)]
    keys = ["kind", "method", "mask", "metric"]
    table = pd.DataFrame(rows).groupby(keys)["value"].mean().rename("mean").reset_index()
    wide = table.pivot_table(index=["kind", "mask", "metric"], columns="method", values="mean")
    gaps = wide.sub(wide["identity"], axis=0).div(wide["ceiling"] - wide["identity"], axis=0)
    long = gaps.stack().rename("gap_closed").reset_index()
    return table.merge(long, on=keys).assign(seed=seed)


def misplacements_mm(study: Study) -> pd.DataFrame:
    """How far the app's registrations put a person's brain from where it is.

    Parameters
    ----------
    study
        On which ``evaluate`` ran.

    Returns
    -------
    DataFrame
        ``across`` (whether between the two sites) and ``rms_mm`` over the brain, a row a
        registration.
    """
    folder = study.output_dir / ".work" / "evaluate" / "registrations"
    rows = []
    for path in sorted(folder.glob("*_to_*.json")):
        moving, fixed = (study.scan(stem) for stem in path.stem.split("_to_"))
        images = read_scan_images(fixed)
        brain = images.head if images.brain is None else images.brain
        world = np.argwhere(brain) @ images.affine[:3, :3].T + images.affine[:3, 3]
        matrix = np.array(json.loads(path.read_text(encoding="utf-8"))["fixed_to_moving_mm"])
        apart = world @ matrix[:3, :3].T + matrix[:3, 3] - world
        rms = float(np.sqrt((apart**2).sum(axis=1).mean()))
        rows.append({"across": moving.site != fixed.site, "rms_mm": rms})
    return pd.DataFrame(rows, columns=["across", "rms_mm"])


def read_study(output_dir: Path, reference_site: str) -> Study:
    """The study of a benchmark's run."""
    settings = make_settings({"site": {"reference_site": reference_site}}, source="benchmark")
    return load_study(output_dir, settings=settings)


def fitted_methods(output_dir: Path, reference_site: str) -> list[Method]:
    """Every harmonizer that was fitted, in the order of ``HARMONIZERS``."""
    folders = [harmonizer_folder(output_dir, name, reference_site) for name in HARMONIZERS]
    return [method_of(load_harmonizer(path)) for path in folders if path.is_dir()]


def _score(pair: Pair, methods: Sequence[Method], study: Study) -> list[dict[str, object]]:
    """Rows of one pair; the second scan at the target stands for the ceiling."""
    moving, fixed = read_scan_images(pair.moving), read_scan_images(pair.fixed)
    if not np.allclose(moving.affine, fixed.affine) or moving.brain is None:
        message = f"{pair.moving.stem} and {pair.fixed.stem} do not lie on one grid"
        raise ValueError(message)
    target = fixed.rescaled(fixed.volume, study.scaling_mask)
    if pair.rescan:
        return _rows(pair, "ceiling", moving, moving.volume, target, study)
    rows: list[dict[str, object]] = []
    for method in methods:
        try:
            made = method.transform(moving, pair.target_site)
        except DirectionError:
            continue
        rows += _rows(pair, method.name, moving, made, target, study)
    return rows


def _rows(
    pair: Pair,
    method: str,
    moving: ScanImages,
    made: np.ndarray,
    target: np.ndarray,
    study: Study,
) -> list[dict[str, object]]:
    volume = moving.rescaled(made, study.scaling_mask)
    return [
        {
            "kind": pair.kind,
            "method": method,
            "mask": mask,
            "metric": metric,
            "value": load_metric(metric)(volume, target, inside),
        }
        for mask, inside in (("brain", moving.brain), ("head", moving.head))
        for metric in METRICS
    ]
