"""Section "Harmonization": every method in every direction, people, pictures, training."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, Section, make_table
from bids_harmonize.report.group_figures import (
    draw_dots,
    draw_person_lines,
    draw_training_curves,
    method_colour,
)
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_methods_table import best_training_free, reading_order
from bids_harmonize.report.group_travellers import picture_blocks
from bids_harmonize.report.group_words import (
    METRIC_BETTER,
    METRIC_DECIMALS,
    METRIC_WORDS,
    MISSING,
    is_number,
    method_words,
    number,
    p_value,
    percent,
    with_interval,
)

_TITLE = "Harmonization"
_KINDS = {"direct": "to the reference", "reverse": "from the reference", "agreement": "agreement"}


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
        text = "Neither a model nor a table of methods is here: the stage harmonize has not run."
        return Section("harmonization", _TITLE, (Paragraph(text, "absent"),))
    if table is None:
        blocks.append(
            Paragraph(
                "There is no group_methods.tsv: the stage evaluate has not run, or nobody was "
                "scanned at two trained sites. So there is no figure of similarity.",
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
    blocks += picture_blocks(inputs)
    blocks += _curve_blocks(inputs)
    return Section("harmonization", _TITLE, tuple(blocks))


def _directions(table: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    groups = {
        (str(kind), str(source), str(target)): rows
        for (kind, source, target), rows in table.groupby(["kind", "source_site", "target_site"])
    }
    if sum(key[0] == "direct" and key[1] != "all" for key in groups) == 1:
        groups = {key: rows for key, rows in groups.items() if key[1] != "all"}
    order = list(_KINDS)
    return sorted(
        groups.items(),
        key=lambda item: (
            order.index(item[0][0]) if item[0][0] in order else len(order),
            item[0][1] != "all",
            item[0],
        ),
    )


def _direction_blocks(
    inputs: GroupInputs, rows: pd.DataFrame, *, kind: str, source: str, target: str
) -> list[Block]:
    name = _direction_name(kind, source, target)
    psnr = rows[(rows["mask"] == "brain") & (rows["metric"] == "psnr")]
    scores = psnr.drop_duplicates("method").set_index("method")
    methods = reading_order(list(dict.fromkeys(rows["method"])), chosen=inputs.chosen_method)
    blocks: list[Block] = []
    best = best_training_free(scores) if len(scores) else None
    if len(scores):
        dots = [
            (
                method_words(method), scores.loc[method, "mean"], scores.loc[method, "low"],
                scores.loc[method, "high"], method_colour(method, chosen=inputs.chosen_method),
            )
            for method in methods
            if method in scores.index
        ]  # fmt: skip
        lines = [(float(scores.loc[best, "mean"]), "best training-free")] if best else []
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
    blocks.append(_method_table(inputs, rows, methods, name=name, best=best))
    return blocks


def _dots_reading(inputs: GroupInputs, scores: pd.DataFrame, best: str | None) -> str:
    text = (
        "Dots are means over people, bars 95 % bootstrap intervals. Orange: the chosen "
        "harmonizer, blue: other trained ones, grey: without training, green: the person scanned "
        "again at the target, which nothing can be expected to pass."
    )
    chosen = inputs.chosen_method
    if best is None or chosen not in scores.index:
        return text
    gain = float(scores.loc[chosen, "mean"] - scores.loc[best, "mean"])
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


def _method_table(
    inputs: GroupInputs, rows: pd.DataFrame, methods: list[str], *, name: str, best: str | None
) -> Block:
    pairs = [
        (metric, mask)
        for mask in ("brain", "head")
        for metric in METRIC_WORDS
        if ((rows["metric"] == metric) & (rows["mask"] == mask)).any()
    ]
    columns = {"method": False, "n": True}
    columns |= {f"{METRIC_WORDS[metric]}, {mask}": True for metric, mask in pairs}
    columns |= {"gap closed": True, "p against best": True}
    body: list[list[str | Cell]] = []
    for method in methods:
        own = rows[rows["method"] == method]
        line: list[str | Cell] = [_method_cell(inputs, method, best), str(int(own["n"].max()))]
        for metric, mask in pairs:
            found = own[(own["metric"] == metric) & (own["mask"] == mask)]
            line.append(_value_words(found, METRIC_DECIMALS.get(metric, 2)))
        main = own[(own["metric"] == "psnr") & (own["mask"] == "brain")]
        line.append(percent(main["gap_closed"].iloc[0], 0) if len(main) else MISSING)
        line.append(p_value(main["p_vs_best_baseline"].iloc[0]) if len(main) else MISSING)
        body.append(line)
    better = "; ".join(
        f"{METRIC_WORDS[metric].removesuffix(' (dB)')}: {METRIC_BETTER[metric]}"
        for metric in dict.fromkeys(metric for metric, _ in pairs)
    )
    return make_table(
        f"{name}: all methods",
        columns,
        body,
        reading=f"Mean and 95 % interval; n counts people. {better}. Gap closed: how much of the "
        "way from no harmonization to the rescan is gone, given only where that way is longer "
        "than 1 dB. p: the primary comparison alone, corrected by Holm over methods; every other "
        "number is descriptive.",
    )


def _method_cell(inputs: GroupInputs, method: str, best: str | None) -> Cell:
    words = method_words(method)
    if method == inputs.chosen_method:
        return Cell(words, "strong")
    if method == best:
        return Cell(f"{words} (best without training)", "strong")
    return Cell(words, "muted" if method in ("blur", "ceiling") else "")


def _value_words(found: pd.DataFrame, decimals: int) -> str:
    if found.empty or not is_number(found["mean"].iloc[0]):
        return MISSING
    row = found.iloc[0]
    return with_interval(row["mean"], row["low"], row["high"], decimals)


def _direction_name(kind: str, source: str, target: str) -> str:
    if kind == "agreement":
        return f"{source} and {target}, both harmonized"
    start = "all source sites" if source == "all" else source
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
                alt=f"Losses and distance to the reference of {folder.name} over the iterations.",
                reading="Left: losses on a logarithmic axis where all are positive. Right: "
                "distance between patches of harmonized and of reference images, on people who "
                "took no gradient; the best point is kept. It is an alarm against divergence, "
                "not a ranking of methods.",
                size="wide",
            )
        )
    return blocks
