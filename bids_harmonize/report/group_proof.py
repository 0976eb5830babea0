"""Sections "Is the site gone?" (site probes) and "Verdict" of the group page."""

from collections.abc import Mapping

import pandas as pd

from bids_harmonize.report.group_blocks import (
    Block,
    Cell,
    Figure,
    Paragraph,
    Section,
    Tone,
    make_table,
)
from bids_harmonize.report.group_figures import draw_dots, method_colour
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import (
    MISSING,
    is_number,
    method_words,
    percent,
    percent_interval,
    significant,
)

_PROBES = {
    "frozen": "frozen",
    "reseeded": "trained again",
    "converged": "trained again, to convergence",
    "forest": "random forest on texture",
}
_PROBE_TITLE = "Is the site still readable?"
_TONES: Mapping[str, Tone] = {"yes": "good", "no": "bad"}


def probe_section(inputs: GroupInputs) -> Section:
    """Site probes on harmonized images, with what each of them can and cannot show.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where no probe was run.
    """
    table = inputs.tables.get("siteprobe")
    if table is None:
        text = (
            "There is no group_siteprobe.tsv: no site probe was run on harmonized images, so it "
            "is not known whether the site can still be read from them."
        )
        return Section("probes", _PROBE_TITLE, (Paragraph(text, "absent"),))
    shown = _pooled_over_seeds(table)
    chance = float(shown["chance"].dropna().iloc[0]) if shown["chance"].notna().any() else 0.0
    dots = [
        (
            _probe_name(row),
            row["balanced_accuracy"], row["low"], row["high"],
            method_colour(str(row["method"]), chosen=inputs.chosen_method),
        )
        for _, row in shown.iterrows()
        if is_number(row["balanced_accuracy"])
    ]  # fmt: skip
    blocks: list[Block] = [
        Paragraph(
            "A frozen probe is the site classifier as it was trained on unharmonized images. If "
            "it now takes every scan for the reference site, the harmonizer has removed what this "
            "one network had used. It may then fall below chance; that is expected of it."
        ),
        Paragraph(
            "A probe that is trained again, on harmonized images of other people, looks for "
            "whatever is left: air and noise floor, noise texture, small offsets. It usually "
            "finds something. Only when this one is near chance may one say that the site is "
            "hard to read; the result never proves that nothing of it is left. Trained to "
            "convergence, a probe has had several times as long to find it."
        ),
    ]
    if dots:
        blocks.append(
            Figure(
                title="Site probes",
                source=draw_dots(
                    dots, xlabel="balanced accuracy of the probe",
                    lines=[(chance, "chance")], limits=(-0.02, 1.02),
                ),
                alt="Balanced accuracy of site probes by method.",
                reading="Lower is better down to chance (dashed) for probes trained again. Such "
                "a probe clearly below chance points to a leak, not to success.",
            )
        )  # fmt: skip
    blocks.append(_probe_table(shown))
    return Section("probes", _PROBE_TITLE, tuple(blocks))


def verdict_section(inputs: GroupInputs) -> Section:
    """The questions that were fixed beforehand, with their answers.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where no verdict was written.
    """
    table = inputs.tables.get("verdict")
    if table is None:
        text = (
            "There is no group_verdict.tsv: no question was answered with a threshold in this "
            "run. The sections above show the figures without a verdict."
        )
        return Section("verdict", "Verdict", (Paragraph(text, "absent"),))
    order = {"no": 0, "cannot tell": 1, "yes": 2}
    answers = table["answer"].astype(str).str.lower()
    rows: list[list[str | Cell]] = [
        [
            Cell(str(row["question"]), "strong"),
            method_words(str(row["method"])),
            Cell(str(row["answer"]), _TONES.get(str(row["answer"]).lower(), "muted")),
            significant(row["value"]),
            str(row["threshold"] or MISSING),
            str(row["source"] or MISSING),
        ]
        for _, row in table.assign(_order=answers.map(order)).sort_values("_order").iterrows()
    ]
    return Section(
        "verdict",
        "Verdict",
        (
            make_table(
                "Questions fixed beforehand",
                {
                    "question": False, "method": False, "answer": False, "value": True,
                    "yes if": False, "from": False,
                },
                rows,
                reading="Worst first. Cannot tell means that too few people or no fitting data "
                "were there; it is not a yes.",
            ),
        ),
    )  # fmt: skip


def _probe_name(row: pd.Series) -> str:
    name = f"{method_words(str(row['method']))}, {_PROBES.get(str(row['probe']), row['probe'])}"
    return f"{name}, source sites" if row["sites"] == "sources" else name


def _pooled_over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method, probe and choice of sites: means over seeds, the widest interval."""
    keys = ["method", "probe", "sites"]
    rows = []
    for _, own in table.groupby(keys, sort=False):
        first = own.iloc[0].to_dict()
        first |= {
            "balanced_accuracy": own["balanced_accuracy"].mean(),
            "low": own["low"].min(),
            "high": own["high"].max(),
            "share_reference": own["share_reference"].mean(),
            "train_accuracy": own["train_accuracy"].mean() if "train_accuracy" in own else None,
            "leak_suspected": own["leak_suspected"].astype(str).str.lower().eq("true").any(),
            "n_seeds": len(own),
        }
        rows.append(first)
    return pd.DataFrame(rows)


def _probe_table(shown: pd.DataFrame) -> Block:
    rows: list[list[str | Cell]] = [
        [
            Cell(method_words(str(row["method"])), "strong"),
            _PROBES.get(str(row["probe"]), str(row["probe"])),
            str(row["sites"]),
            str(int(row["n"])) if is_number(row["n"]) else MISSING,
            str(int(row["n_seeds"])),
            percent_interval(row["balanced_accuracy"], row["low"], row["high"]),
            percent(row["chance"]),
            percent(row.get("train_accuracy")),
            percent(row["share_reference"]),
            Cell("suspected", "bad") if row["leak_suspected"] else Cell("no sign", "muted"),
        ]
        for _, row in shown.iterrows()
    ]
    return make_table(
        "All probes",
        {
            "images made by": False, "probe": False, "sites": False, "n": True, "seeds": True,
            "balanced accuracy": True, "chance": True, "on its own scans": True,
            "taken for reference": True, "leak": False,
        },
        rows,
        reading="Means over seeds with the widest interval. On its own scans: balanced accuracy "
        "on the scans that trained the probe; near chance on others means something only where "
        "this is high. Taken for reference: share of scans "
        "of the source sites that the probe names as the reference site. Sites \"sources\": "
        "without the reference site, whose scans skip the generator and would be told by that.",
    )  # fmt: skip
