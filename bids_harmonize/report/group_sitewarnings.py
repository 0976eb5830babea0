"""Warnings about the site classifier, for the top of the page."""

import pandas as pd

from bids_harmonize.metrics.siteness import SHORTCUT_LIMIT, SHORTCUTS, VISIBLE_P
from bids_harmonize.report.group_blocks import Finding
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_saliencychecks import CHECK_WORDS, failed_checks, site_names
from bids_harmonize.report.group_siteanswers import (
    MAIN_MODELS,
    interval,
    is_own_image,
    rows_of,
    texts,
)
from bids_harmonize.report.group_words import (
    MODEL_WORDS,
    STATISTIC_WORDS,
    count,
    is_number,
    is_true,
    listing,
    model_words,
    number,
    p_value,
    percent,
    percent_interval,
    sentence,
    shortcut_words,
)

_N_NAMED = 5

LEAK_P = 0.001
"""Below chance is suspicious where fewer permutations than this share do as badly; at .01 every
hundredth study without a site effect would be accused."""


def site_findings(inputs: GroupInputs) -> list[Finding]:
    """Leaks, shortcuts, small and confounded sites, failed checks of the maps, unseen sites.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Finding
        In no order; empty where nothing is to be said or the stage has not run.
    """
    return [
        *_off_chance(inputs),
        *_shortcuts(inputs),
        *_small_sites(inputs),
        *_confounded(inputs),
        *_failed_checks(inputs),
        *_unseen_sites(inputs),
    ]


def is_quick(inputs: GroupInputs) -> bool:
    """Whether the run, or any row of the site classifier's tables, was made with less effort."""
    if inputs.run is not None and inputs.settings.group.effort == "quick":
        return bool(inputs.tables)
    keys = ("siteclassification", "sitevisibility")
    return any(
        texts(inputs.tables[key], "effort").eq("quick").any()
        for key in keys
        if key in inputs.tables
    )


def _off_chance(inputs: GroupInputs) -> list[Finding]:
    """A shuffled control off chance, or a model below it: people stand in training and test."""
    rows = rows_of(inputs, "validation")
    found: list[Finding] = []
    if rows is None:
        return found
    for _, row in rows.iterrows():
        value, low, high = interval(row)
        chance, p = row["chance"], row["p_permutation"]
        if not (is_number(low) and is_number(high) and is_number(chance)):
            continue
        above = low > chance and (not is_number(p) or p <= VISIBLE_P)
        below = high < chance and (not is_number(p) or p >= 1 - LEAK_P)
        shown = f"{percent_interval(value, low, high)}; chance is {percent(chance)}"
        if row["model"] == "shuffled" and above:
            text = (
                f"With shuffled site names the network is right for {shown}. Participants may "
                "stand in both training and test. Do not use these results before the cause is "
                "found."
            )
            found.append(Finding("bad", "The shuffled control is above chance", text))
        elif below and row["model"] in ("shuffled", *MAIN_MODELS):
            name = model_words(row["model"], row["images"])
            text = (
                f"Right for {shown}. Nobody guesses that badly by chance: information about the "
                "tested people may have reached the training."
            )
            found.append(Finding("bad", f"Far below chance: {name}", text))
    return found


def _shortcuts(inputs: GroupInputs) -> list[Finding]:
    rows = rows_of(inputs, "validation")
    if rows is None:
        return []
    able = rows[
        texts(rows, "model").isin(SHORTCUTS) & (rows["balanced_accuracy"] > SHORTCUT_LIMIT)
    ].sort_values("balanced_accuracy", ascending=False)
    if able.empty:
        return []
    named = [shortcut_words(row["model"], row["balanced_accuracy"]) for _, row in able.iterrows()]
    title = (
        f"{MODEL_WORDS[able['model'].iloc[0]].capitalize()}: enough to name the site"
        if len(able) == 1
        else f"{len(able)} shortcuts, each enough to name the site"
    )
    text = (
        f"Balanced accuracy without a look at brain anatomy: {listing(named)}. The model may use "
        "the same. Its accuracy alone does not show that it reads brain tissue."
    )
    return [Finding("caution", title, text)]


def _small_sites(inputs: GroupInputs) -> list[Finding]:
    if inputs.study is not None:
        return [
            Finding("caution", f"Left out of training: {site}", sentence(str(reason)))
            for site, reason in inputs.study.left_out.items()
        ]
    table = inputs.tables.get("siterecall")
    if table is None or is_quick(inputs):
        return []
    least = inputs.settings.site.min_per_site
    trained = texts(table, "split") != "new"  # new scans of --model-dir train nothing
    own = table[trained & texts(table, "model").isin(MAIN_MODELS) & (table["n"] < least)]
    own = own[texts(own, "images").map(is_own_image)].drop_duplicates("site")
    if own.empty:
        return []
    named = listing(f"{row['site']} ({int(row['n'])})" for _, row in own.iterrows())
    text = f"{named}; the minimum is {least}. Nothing certain can be said about so few."
    return [Finding("caution", "Too few people at a site", text)]


def _confounded(inputs: GroupInputs) -> list[Finding]:
    table = inputs.tables.get("siteconfounding")
    if table is None:
        return []
    warned = table[texts(table, "warning").map(is_true)]
    if warned.empty:
        return []
    shown = listing(_strength(row) for _, row in warned.iterrows())
    text = (
        f"{shown}. The sites scanned different people. A difference between sites may be one "
        "between people, and taking it out may take out biology."
    )
    names = listing(dict.fromkeys(texts(warned, "variable")))
    return [Finding("caution", f"Site goes with {names}", text)]


def _strength(row: pd.Series) -> str:
    statistic = str(row.get("statistic") or "")
    words = STATISTIC_WORDS.get(statistic, statistic)
    corrected = is_number(row["p_holm"])  # outputs of earlier versions have none
    p = p_value(row["p_holm"] if corrected else row["p"])
    p = f", p {p}" if p.startswith("<") else f", p = {p}"
    p += " (Holm)" if corrected else ""
    return f"{str(row.get('variable')).capitalize()}: {words} {number(row['value'])}{p}"


def _failed_checks(inputs: GroupInputs) -> list[Finding]:
    table = inputs.tables.get("saliencychecks")
    if table is None:
        return []
    failed = failed_checks(table)
    if failed.empty:
        return []
    by_check = []
    for check in dict.fromkeys(texts(failed, "check")):
        sites = site_names(failed[texts(failed, "check") == check])
        words = CHECK_WORDS.get(check, check)
        by_check.append(f"{words} ({listing(dict.fromkeys(sites))})")
    text = f"Failed: {listing(by_check)}. Do not read meaning into these maps."
    return [Finding("caution", "Saliency maps did not pass their checks", text)]


def _unseen_sites(inputs: GroupInputs) -> list[Finding]:
    table = inputs.tables.get("sitepredictions")
    if table is None:
        return []
    own = table[texts(table, "images").map(is_own_image)]
    marked = own[texts(own, "unseen_site").map(is_true)]
    if marked.empty:
        return []
    names = [_scan_name(row) for _, row in marked.iterrows()]
    more = len(names) - _N_NAMED
    shown = listing([*names[:_N_NAMED], *([f"{more} more"] if more > 0 else [])])
    new = (texts(marked, "fold") == "").any()
    text = (
        f"{shown}. The model does not know such images; its answer for them is a guess. A few "
        "among the scans of trained sites are usual."
    )
    title = f"{count(len(names), 'scan looks', 'scans look')} like no trained site"
    return [Finding("caution" if new else "note", title, text)]


def _scan_name(row: pd.Series) -> str:
    name = str(row.get("filename") or row.get("participant_id") or "")
    return name.rpartition("/")[2].split("_desc-")[0].split(".")[0]
