"""Pictures of travelling people: before, after each trained method, and their real second scan."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bids_harmonize.errors import DirectionError
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.stages.evaluation.pairs import Pair, plan_pairs, read_scan_images
from tests.benchmarks.aligned_scores import fitted_methods, read_study

WHITEST = 1.2
"""Rescaled units; the brain's 99th percentile is 1, and only scalp and marrow lie beyond."""

_KINDS = ("direct", "reverse")


def draw_travellers(
    output_dir: Path, folder: Path, *, reference_site: str, n_people: int = 5
) -> list[Path]:
    """Write a PNG a person and direction: middle axial and sagittal slice, one grey scale.

    Parameters
    ----------
    output_dir
        Root of a derivative on which ``harmonize`` ran; the scans of a person lie on one grid.
    folder
        Where the pictures go.
    reference_site
        Of the run.
    n_people
        The first so many of those who travel.

    Returns
    -------
    list of Path
        ``<participant>_<source>_to_<target>.png``.
    """
    study = read_study(output_dir, reference_site)
    fitted = fitted_methods(output_dir, reference_site)
    methods = [method for method in fitted if HARMONIZERS[method.name].trained]
    people = sorted(study.travelling)[:n_people]
    paths = []
    for pair in plan_pairs(study):
        person = pair.moving.participant_id
        if person not in people or pair.kind not in _KINDS or pair.rescan:
            continue
        path = folder / f"{person}_{pair.source_site}_to_{pair.target_site}.png"
        before, truth = read_scan_images(pair.moving), read_scan_images(pair.fixed)
        columns = {f"before: {pair.source_site}": before.volume}
        for method in methods:
            try:
                columns[method.name] = method.transform(before, pair.target_site)
            except DirectionError:
                continue
        columns = {name: before.rescaled(v, study.scaling_mask) for name, v in columns.items()}
        target = truth.rescaled(truth.volume, study.scaling_mask)
        columns[f"truth: {pair.target_site}"] = target
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw_columns(columns, title=_title(pair), head=before.head))
        paths.append(path)
    return paths


def draw_columns(columns: Mapping[str, np.ndarray], *, title: str, head: np.ndarray) -> bytes:
    """Volumes side by side as a PNG.

    Parameters
    ----------
    columns
        Label to volume, shape (I, J, K), RAS+, rescaled units, all on one grid.
    title
        Stands above.
    head
        Shape (I, J, K), bool; the slices go through the middle of its upper part.

    Returns
    -------
    bytes
        The upper row axial (right of the person at the right), the lower one sagittal.
    """
    middle, height = _middle(head)
    figure = Figure(figsize=(2.6 * len(columns), 6.4), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(columns), squeeze=False)
    for (label, volume), (axial, sagittal) in zip(columns.items(), axes.T, strict=True):
        for axis, picture in ((axial, volume[:, :, height]), (sagittal, volume[middle])):
            drawn = axis.imshow(
                picture.T, cmap="gray", origin="lower", vmin=0, vmax=WHITEST, interpolation="none"
            )
            axis.set_axis_off()
        axial.set_title(label, fontsize=10)
    figure.suptitle(title, fontsize=10)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.5, pad=0.01)
    bar.set_label("rescaled by own 1st and 99th percentile of the brain", fontsize=8)
    return _png(canvas)


def _middle(head: np.ndarray) -> tuple[int, int]:
    """Sagittal and axial index: middle of the head, and four tenths from its top."""
    rows, _, slices = (np.flatnonzero(head.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    top, bottom = int(slices.max()), int(slices.min())
    return int(rows.mean().round()), round(top - 0.4 * (top - bottom))


def _png(canvas: FigureCanvasAgg) -> bytes:
    stream = io.BytesIO()
    canvas.print_png(stream)
    return stream.getvalue()


def _title(pair: Pair) -> str:
    return f"{pair.moving.participant_id}, {pair.source_site} to {pair.target_site}"
