"""Studies for the site classifier's benchmark: made once, run by the app, read from its tables."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import group_output, scan_output, site_output
from bids_harmonize.phantom import StudyDesign, write_study
from bids_harmonize.phantom.truth import truth_folder
from tests.benchmarks.true_derivative import write_derivative

INTERVALS = ("accuracy", "balanced", "difference", "recall", "log_odds")
"""Columns ``<name>_low`` and ``<name>_high`` are told as an interval."""


@dataclass(frozen=True)
class Cost:
    """What one process of the app needed, imports included."""

    wall_s: float
    cpu_s: float
    peak_gb: float


def make_study(folder: Path, design: StudyDesign) -> Path:
    """The raw phantom of a design, made anew unless the same one stands there.

    Parameters
    ----------
    folder
        Where the benchmark keeps its studies.
    design
        What the study holds.

    Returns
    -------
    Path
        Root of the raw dataset.
    """
    name = f"{design.preset}{design.n_sites}x{design.n_per_site}+{design.n_travelling}"
    bids_dir = folder / f"{name}-{design.resolution_mm:g}mm-seed{design.seed}"
    wanted = {field: getattr(design, field) for field in design.__dataclass_fields__}
    stood = truth_folder(bids_dir) / "study.json"
    # scans.json is the last file of a study: without it the study is not whole
    whole = stood.is_file() and stood.with_name("scans.json").is_file()
    if not whole or json.loads(stood.read_text(encoding="utf-8"))["design"] != wanted:
        write_study(bids_dir, **wanted)
    return bids_dir


def make_derivative(bids_dir: Path, *, resolution_mm: float, own_masks: bool) -> Path:
    """The derivative of a phantom: of its truth, or as the participant level finds it.

    Parameters
    ----------
    bids_dir
        Root of the raw phantom.
    resolution_mm
        Voxel size of the study grid, mm.
    own_masks
        Let the app find head and brain; takes minutes for ten scans.

    Returns
    -------
    Path
        Root of the derivative, without any output of the group level that was read before.
    """
    output_dir = bids_dir.with_name(f"{bids_dir.name}-{'own' if own_masks else 'true'}")
    if own_masks:
        words = [str(bids_dir), str(output_dir), "participant", "--no-tissue"]
        run_app([*words, "--resolution", f"{resolution_mm:g}"], output_dir.with_suffix(".log"))
    else:
        write_derivative(bids_dir, output_dir, resolution_mm=resolution_mm)
    return output_dir


def run_app(words: Sequence[str], log: Path) -> Cost:
    """Run the app's command line in a process of its own.

    Parameters
    ----------
    words
        What follows the program's name.
    log
        Where all that it says goes.

    Returns
    -------
    Cost
        Of the process and the workers that it waited for.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are told.
    """
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "bids_harmonize", *words],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-5:])
        message = f"bids-harmonize {' '.join(words)}: exit code {process.returncode}\n{last}"
        raise RuntimeError(message)
    return Cost(
        time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024**2
    )


def run_classify(output_dir: Path, *options: str) -> Cost:
    """Run the stage ``classify`` on a derivative; see :func:`run_app`."""
    words = ["-", str(output_dir), "group", "--stages", "classify", *options]
    return run_app(words, output_dir.with_suffix(".log"))


def fold_seconds(log: str) -> float:
    """Wall seconds from the start of the stage to the end of its last fold; nan without folds.

    Parameters
    ----------
    log
        What the app said: lines that begin with date and time.

    Returns
    -------
    float
        Controls, final model and saliency come after the folds and do not count.
    """
    lines = log.splitlines()
    starts = [line for line in lines if "stage classify:" in line]
    folds = [line for line in lines if " fold-" in line and " of " in line]
    if not starts or not folds:
        return nan
    return (_moment(folds[-1]) - _moment(starts[0])).total_seconds()


def _moment(line: str) -> datetime:
    return datetime.strptime(" ".join(line.split()[:2]), "%Y-%m-%d %H:%M:%S")


def read_table(output_dir: Path, output: str) -> pd.DataFrame:
    """A group table with numbers as numbers; empty where the app did not write it.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    output
        Its name without ending, for instance ``group_siteclassification``.

    Returns
    -------
    DataFrame
        As on disk; ``n/a`` is NaN.
    """
    try:
        path = group_output(output_dir, output)
    except ValueError:  # an app that does not know the table yet
        path = output_dir / f"{output}.tsv"
    if not path.is_file():
        return pd.DataFrame()
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False)


def describe_row(row: Mapping[str, Any]) -> str:
    """One line: words first, then every number, those with an interval beside it.

    Parameters
    ----------
    row
        Column to value.

    Returns
    -------
    str
        For instance ``network validation: n 300, accuracy 0.993 (0.976 to 0.998)``.
    """
    words = [str(value) for value in row.values() if isinstance(value, str | bool | np.bool_)]
    ends = {f"{name}_{end}" for name in INTERVALS for end in ("low", "high")}
    parts = []
    for name, value in row.items():
        if isinstance(value, str | bool | np.bool_) or name in ends or isnan(value):
            continue
        text = f"{name} {value:.0f}" if name == "n" else f"{name} {value:.3f}"
        stem = name.removesuffix("_accuracy") if f"{name}_low" not in row else name
        if f"{stem}_low" in row:
            text += f" ({row[f'{stem}_low']:.3f} to {row[f'{stem}_high']:.3f})"
        parts.append(text)
    return f"{' '.join(words)}: {', '.join(parts)}"


def permutation_p(predictions: pd.DataFrame, *, rng: np.random.Generator, n: int = 999) -> float:
    """How often exchanged labels are named at least as well as the true ones.

    Parameters
    ----------
    predictions
        group_sitepredictions.tsv of a study where everybody has one scan: site, fold, predicted.
    rng
        Exchanges sites inside each fold; the predictions stay as they are.
    n
        Number of exchanges.

    Returns
    -------
    float
        From 1 / (n + 1) to 1.
    """
    named = predictions.dropna(subset=["fold"])
    predicted = named["predicted"].to_numpy()
    folds = [np.flatnonzero(named["fold"] == fold) for fold in named["fold"].unique()]
    labels = np.array(named["site"], dtype=object)  # a copy
    right = int((labels == predicted).sum())
    as_good = 0
    for _ in range(n):
        for members in folds:
            labels[members] = labels[rng.permutation(members)]
        as_good += int((labels == predicted).sum() >= right)
    return (1 + as_good) / (1 + n)


def peak_mm(path: Path) -> np.ndarray:
    """World coordinates of a map's largest voxel, mm, shape (3,)."""
    volume, affine = read_image(path)
    index = np.unravel_index(int(volume.argmax()), volume.shape)
    place: np.ndarray = affine[:3, :3] @ index + affine[:3, 3]
    return place


def cue_distances(bids_dir: Path, output_dir: Path) -> tuple[dict[str, float], float]:
    """How far the saliency maps' maxima lie from the planted patch.

    Parameters
    ----------
    bids_dir
        Root of a phantom of the preset ``cue``; its truth lies beside it.
    output_dir
        Root of its derivative after ``classify``.

    Returns
    -------
    tuple
        Scan to distance, mm, for all scans of the cue's site that have a map, and the distance
        of the site's mean map from the patch on the template; nan where there is none.
    """
    truth = truth_folder(bids_dir)
    scans = json.loads((truth / "scans.json").read_text(encoding="utf-8"))
    scanners = json.loads((truth / "scanners.json").read_text(encoding="utf-8"))
    (site,) = (name for name, scanner in scanners.items() if scanner.get("cue"))
    distances = {
        stem: float(np.linalg.norm(peak_mm(path) - scan["cue_mm"]))
        for stem, scan in scans.items()
        if "cue_mm" in scan and (path := scan_output(output_dir, stem, "site_saliency")).is_file()
    }
    mean_map = site_output(output_dir, site, "site_mean_saliency")
    if not mean_map.is_file():
        return distances, nan
    planted = np.array(scanners[site]["cue"]["template_mm"])
    return distances, float(np.linalg.norm(peak_mm(mean_map) - planted))
