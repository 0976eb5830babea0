"""Section "Harmonization": every method in every direction, people, pictures, training."""

from collections.abc import Mapping

import pandas as pd

from bids_harmonize.metrics import METRICS
from bids_harmonize.report.group_applied import applied_words
from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, Section, make_table
from bids_harmonize.report.group_figures import (
    draw_dots,
    draw_person_lines,
    draw_training_curves,
    method_colour,
)
from bids_harmonize.report.group_imageskept import lesion_blocks, recognition_blocks
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_methods_table import (
    Score,
    best_training_free,
    brain_psnr,
    reading_order,
)
from bids_harmonize.report.group_reference import nobody_travels, saw_no_reference
from bids_harmonize.report.group_sitemaps import effect_blocks
from bids_harmonize.report.group_travellers import picture_blocks
from bids_harmonize.report.group_words import (
    METRIC_DECIMALS,
    MISSING,
    is_number,
    method_words,
    metric_words,
    number,
    p_value,
    percent,
    with_interval,
)

_TITLE = "Harmonization"
_KINDS = ("direct", "reverse", "agreement")
_MAIN_READING = (
    " Gap closed: how much of the way from no harmonization to the rescan is gone, given only "
    "where that way is longer than 1 dB of PSNR. p: the primary comparison alone (brain PSNR over "
    "all source sites), corrected by Holm over methods; with n people it cannot fall below 2/2^n. "
    "Every other number is descriptive."
)


def harmonization_section(inputs: GroupInputs) -> Section:
    """What the harmonizer changed, judged on people who were scanned at both sites.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        Each part that is missing says why.
    """
    blocks: list[Block] = []
    table = inputs.tables.get("methods")
    if table is None and inputs.chosen is None:
        if words := applied_words(inputs):
            return Section("harmonization", _TITLE, (Paragraph(words),))
        text = "Neither a model nor a table of methods is here: the stage harmonize has not run."
        return Section("harmonization", _TITLE, (Paragraph(text, "absent"),))
    if table is None:
        blocks.append(
            Paragraph(
                nobody_travels(inputs)
                or "There is no group_methods.tsv: the stage evaluate has not run, or nobody was "
                "scanned at two of these sites. So there is no figure of similarity.",
                "absent",
            )
        )
    else:
        blocks.append(
            Paragraph(
                "Every method makes, from a person's scan at one site, an image as if scanned at "
                "the other. That image is compared with the person's real scan there, after "
                "one rigid registration that is the same for all methods. Before the comparison "
                "every image is rescaled by its own 1st and 99th percentile, so that a change of "
                "gain alone earns nothing. A blurred image scores well in SSIM without being "
                "harmonized: read sharpness beside it."
            )
        )
        for (kind, source, target), rows in _directions(table):
            blocks += _direction_blocks(inputs, rows, kind=kind, source=source, target=target)
    blocks += recognition_blocks(inputs)
    blocks += lesion_blocks(inputs)
    blocks += picture_blocks(inputs)
    blocks += effect_blocks(inputs)
    blocks += _curve_blocks(inputs)
    return Section("harmonization", _TITLE, tuple(blocks))


def _directions(table: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    for kind in table.loc[table["source_site"] == "all", "kind"].unique():
        own = table[(table["kind"] == kind) & (table["source_site"] != "all")]
        if own.groupby(["source_site", "target_site"]).ngroups == 1:
            table = _without_pooled(table, kind=str(kind))
    groups = {
        (str(kind), str(source), str(target)): rows
        for (kind, source, target), rows in table.groupby(["kind", "source_site", "target_site"])
    }
    return sorted(
        groups.items(),
        key=lambda item: (
            _KINDS.index(item[0][0]) if item[0][0] in _KINDS else len(_KINDS),
            item[0][1] != "all",
            item[0],
        ),
    )


def _without_pooled(table: pd.DataFrame, *, kind: str) -> pd.DataFrame:
    """With one source site, or one pair, the pooled rows say the same; their p value is kept."""
    pooled = table[table["source_site"] == "all"]
    p_values = pooled.dropna(subset=["p_vs_best_baseline"]).set_index("method")
    own = table[table["source_site"] != "all"].copy()
    primary = (own["kind"] == kind) & (own["mask"] == "brain") & (own["metric"] == "psnr")
    filled = own["method"].map(p_values["p_vs_best_baseline"])
    own["p_vs_best_baseline"] = filled.where(primary)
    return own


def _direction_blocks(
    inputs: GroupInputs, rows: pd.DataFrame, *, kind: str, source: str, target: str
) -> list[Block]:
    name = _direction_name(kind, source, target)
    scores = brain_psnr(rows)
    methods = reading_order(rows["method"], chosen=inputs.chosen_method)
    best = best_training_free(scores)
    blocks: list[Block] = []
    if scores:
        dots = [
            (
                method_words(method),
                scores[method].mean,
                scores[method].low,
                scores[method].high,
                method_colour(method, chosen=inputs.chosen_method),
            )
            for method in methods
            if method in scores
        ]
        lines = [(scores[best].mean, "best training-free")] if best else []
        blocks.append(
            Figure(
                title=f"{name}: PSNR in the brain",
                source=draw_dots(dots, xlabel="brain PSNR (dB), higher is better", lines=lines),
                alt=f"Brain PSNR of every method, {name}.",
                reading=_dots_reading(inputs, scores, best),
            )
        )
    lines_figure = _person_figure(inputs, methods, kind=kind, source=source, target=target)
    if lines_figure:
        blocks.append(lines_figure)
    return blocks + _method_tables(inputs, rows, methods, name=name, best=best)


def _dots_reading(inputs: GroupInputs, scores: Mapping[str, Score], best: str | None) -> str:
    text = (
        "Dots are means over people, bars 95 % bootstrap intervals. Orange: the chosen "
        "harmonizer, blue: other trained ones, grey: without training, green: the person scanned "
        "again at the target, which nothing can be expected to pass."
    )
    chosen = inputs.chosen_method
    if best is None or chosen is None or chosen not in scores:
        return text
    gain = scores[chosen].mean - scores[best].mean
    word = "above" if gain >= 0 else "below"
    return (
        f"{text} The best method without training is {method_words(best)} (dashed line); "
        f"{method_words(chosen)} lies {number(abs(gain))} dB {word} it."
    )


def _person_figure(
    inputs: GroupInputs, methods: list[str], *, kind: str, source: str, target: str
) -> Figure | None:
    table = inputs.tables.get("travelling")
    if table is None or source == "all":
        return None
    rows = table[
        (table["kind"] == kind) & (table["mask"] == "brain") & (table["metric"] == "psnr")
        & (table["source_site"] == source) & (table["target_site"] == target)
    ]  # fmt: skip
    wide = rows.pivot_table(index="participant_id", columns="method", values="value")
    shown = [method for method in methods if method in wide.columns]
    if len(wide) < 1 or len(shown) < 2:
        return None
    return Figure(
        title=f"{_direction_name(kind, source, target)}: every person",
        source=draw_person_lines(wide[shown], ylabel="brain PSNR (dB)"),
        alt="Brain PSNR of every travelling subject under every method, one line a person.",
        reading="One line a person, from no harmonization on the left to the ceiling on the "
        "right; the thick line is the mean. Lines that run in parallel mean that a method helps "
        "everybody alike.",
        size="wide",
    )


def _method_tables(
    inputs: GroupInputs, rows: pd.DataFrame, methods: list[str], *, name: str, best: str | None
) -> list[Block]:
    blocks: list[Block] = []
    for mask in ("brain", "head"):
        within = rows[rows["mask"] == mask]
        metrics = [metric for metric in METRICS if (within["metric"] == metric).any()]
        if not metrics:
            continue
        main = mask == "brain"
        better = "; ".join(f"{metric.upper()}: {METRICS[metric].direction}" for metric in metrics)
        extra = {"gap closed": True, "p against best": True} if main else {}
        blocks.append(
            make_table(
                f"{name}: all methods, in the {mask}",
                {"method": False, "n": True}
                | {metric_words(metric): True for metric in metrics}
                | extra,
                [
                    _method_row(inputs, within, method, metrics=metrics, best=best)
                    for method in methods
                ],
                reading=f"Mean and 95 % interval; n counts people. {better}."
                + (_MAIN_READING if main else ""),
                folded=not main,
            )
        )
    return blocks


def _method_row(
    inputs: GroupInputs, rows: pd.DataFrame, method: str, *, metrics: list[str], best: str | None
) -> list[str | Cell]:
    own = rows[rows["method"] == method].drop_duplicates("metric").set_index("metric")
    n = own["n"].max()
    line: list[str | Cell] = [
        _method_cell(inputs, method, best),
        str(int(n)) if is_number(n) else MISSING,
    ]
    for metric in metrics:
        if metric not in own.index:
            line.append(MISSING)
            continue
        row = own.loc[metric]
        decimals = METRIC_DECIMALS.get(metric, 2)
        line.append(with_interval(row["mean"], row["low"], row["high"], decimals))
    if (rows["mask"] == "brain").all():
        known = "psnr" in own.index
        line.append(percent(own.at["psnr", "gap_closed"], 0) if known else MISSING)
        line.append(p_value(own.at["psnr", "p_vs_best_baseline"]) if known else MISSING)
    return line


def _method_cell(inputs: GroupInputs, method: str, best: str | None) -> Cell:
    words = method_words(method)
    if method == inputs.chosen_method:
        return Cell(words, "strong")
    if method == best:
        return Cell(f"{words} (best without training)", "strong")
    return Cell(words, "muted" if method in ("blur", "ceiling") else "")


def _direction_name(kind: str, source: str, target: str) -> str:
    if kind == "agreement" and source == "all":
        return "All pairs of sites, both harmonized"
    if kind == "agreement":
        return f"{source} and {target}, both harmonized"
    start = "All source sites" if source == "all" else source
    return f"{start} to {target}"


def _curve_blocks(inputs: GroupInputs) -> list[Block]:
    blocks: list[Block] = []
    for folder in inputs.harmonizers:
        if folder.curves is None or folder.curves.empty:
            continue
        blocks.append(
            Figure(
                title=f"Training of {method_words(folder.name)}",
                source=draw_training_curves(folder.curves),
                alt=f"Losses and distances of {folder.name} over the iterations.",
                reading="Left: losses, on a logarithmic axis where all are positive. Right: "
                + (
                    "distance of local histograms of harmonized images to those of the reference"
                    if saw_no_reference(folder)
                    else "distance between patches of harmonized images and of the site they go to"
                )
                + ", on people who took no gradient; of each direction the last point at most "
                "10 % above the lowest is kept (against a reference without images: the lowest). "
                "It is an alarm against divergence, not a ranking of methods.",
                size="wide",
            )
        )
    return blocks
