"""Top of the group page: what was done, and what a reader must know first, bad news first."""

from bids_harmonize.bids.judged import JUDGED_PREFIX
from bids_harmonize.report.group_applied import applied_words
from bids_harmonize.report.group_blocks import (
    Block,
    Cell,
    Finding,
    Findings,
    Paragraph,
    Section,
    make_table,
)
from bids_harmonize.report.group_disorderclaims import disorder_findings, disorder_sentence
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_methods_table import (
    best_training_free,
    only_agreement,
    pooled_brain_psnr,
)
from bids_harmonize.report.group_reference import (
    nobody_travels,
    reference_findings,
    reference_words,
    saw_no_reference,
)
from bids_harmonize.report.group_siteanswers import site_sentence
from bids_harmonize.report.group_sitewarnings import is_quick, site_findings
from bids_harmonize.report.group_subtypeclaims import subtypes_findings, subtypes_sentence
from bids_harmonize.report.group_words import (
    count,
    listing,
    method_words,
    number,
    sentence,
    significant,
    with_interval,
)

_ORDER = {"bad": 0, "caution": 1, "note": 2, "good": 3}


def headline_section(inputs: GroupInputs) -> Section:
    """The headline: one sentence of result, then the findings, worst first.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        Always there, whatever is missing.
    """
    rows = [
        *_leaks(inputs),
        *_verdicts(inputs),
        *_fallbacks(inputs),
        *_lost_to_baseline(inputs),
        *_fitted_on_everybody(inputs),
        *site_findings(inputs),
        *disorder_findings(inputs),
        *subtypes_findings(inputs),
        *_missing_proof(inputs),
        *reference_findings(inputs),
        *_quick(inputs),
        *_unread_study(inputs),
        *_doubtful_masks(inputs),
    ]
    rows.sort(key=lambda row: _ORDER[row.level])
    if not rows:
        text = "No warning was raised. What was not computed is named in each section."
        rows = [Finding("good", "Nothing to report", text)]
    return Section(
        key="headline",
        title="In short",
        blocks=(
            Paragraph(_summary(inputs), kind="lead"),
            Findings(tuple(rows)),
            *_messages(inputs),
        ),
    )


def _summary(inputs: GroupInputs) -> str:
    parts = []
    site = site_sentence(inputs)
    if site:
        parts.append(site)
    if inputs.chosen_method and inputs.reference_site:
        parts.append(
            f"Scans were brought to the look of {reference_words(inputs)} by "
            f"{method_words(inputs.chosen_method)}."
        )
    result = _primary_result(inputs) or applied_words(inputs)
    if result:
        parts.append(result)
    parts += filter(None, (disorder_sentence(inputs), subtypes_sentence(inputs)))
    if not parts:
        parts.append(
            "The scans were preprocessed. No group result (site classification, harmonization, "
            "evaluation) is in this output yet."
        )
    return " ".join(parts)


def _primary_result(inputs: GroupInputs) -> str:
    scores = pooled_brain_psnr(inputs)
    chosen = scores.get(inputs.chosen_method or "")
    if chosen is None or "identity" not in scores:
        return ""
    alike = f"agrees with the person's real scan at {inputs.reference_site}"
    if only_agreement(inputs):
        alike = "agrees between the sites where the person was scanned"
    text = (
        f"For {count(chosen.n, 'travelling person', 'travelling people')}, the brain in "
        f"the harmonized image {alike} at "
        f"{with_interval(chosen.mean, chosen.low, chosen.high, 1)} dB PSNR; without "
        f"harmonization at {number(scores['identity'].mean, 1)} dB"
    )
    best = best_training_free(scores)
    if best and best != "identity":
        text += (
            f", with the best training-free method ({method_words(best)}) at "
            f"{number(scores[best].mean, 1)} dB"
        )
    if "ceiling" in scores:
        text += f"; a rescan at the target reaches {number(scores['ceiling'].mean, 1)} dB"
    return text + "."


def _leaks(inputs: GroupInputs) -> list[Finding]:
    probes = inputs.tables.get("siteprobe")
    if probes is None or "leak_suspected" not in probes:
        return []
    marked = probes[probes["leak_suspected"].astype(str).str.lower().isin(["true", "yes", "1"])]
    if marked.empty:
        return []
    which = listing(
        f"{method_words(str(method))} ({probe})"
        for method, probe in dict.fromkeys(zip(marked["method"], marked["probe"], strict=True))
    )
    return [
        Finding(
            "bad",
            "Leak suspected",
            f"A freshly trained site probe is far below chance for {which}. That does not mean "
            "that the site is gone: information about the test scans reached the harmonizer. Do "
            "not use these results before the cause is found.",
        )
    ]


def _verdicts(inputs: GroupInputs) -> list[Finding]:
    table = inputs.tables.get("verdict")
    if table is None:
        return []
    return [
        Finding(
            "bad",
            f"{row['question']} No",
            f"{method_words(str(row['method']))}: {significant(row['value'])}; yes would need: "
            f"{row['threshold']} ({row['source']}).",
        )
        for _, row in table.iterrows()
        if str(row["answer"]).lower() == "no" and _was_asked_about(inputs, str(row["method"]))
    ]


def _was_asked_about(inputs: GroupInputs, method: str) -> bool:
    """The chosen harmonizer, and what --judge names; the others stand there to compare with."""
    return method == inputs.chosen_method or method.startswith(JUDGED_PREFIX)


def _fallbacks(inputs: GroupInputs) -> list[Finding]:
    return [
        Finding(
            "bad",
            f"{method_words(folder.name)} did not train for {listing(folder.fell_back)}",
            "Training and its restart both diverged. The images of these sites are "
            + (
                "only scaled instead."
                if saw_no_reference(folder)
                else f"those of {method_words('n4_histogram')} instead."
            ),
        )
        for folder in inputs.harmonizers
        if folder.fell_back
    ]


def _lost_to_baseline(inputs: GroupInputs) -> list[Finding]:
    scores = pooled_brain_psnr(inputs)
    method, best = inputs.chosen_method or "", best_training_free(scores)
    if method not in scores or best is None or scores[method].mean > scores[best].mean:
        return []
    return [
        Finding(
            "bad",
            f"{method_words(method)} is not better than {method_words(best)}",
            f"Brain PSNR {number(scores[method].mean)} dB against "
            f"{number(scores[best].mean)} dB. The simpler method is to be preferred here.",
        )
    ]


def _fitted_on_everybody(inputs: GroupInputs) -> list[Finding]:
    if inputs.study is None or not inputs.study.fitted_on_everybody:
        return []
    text = sentence(inputs.study.fitted_on_everybody)
    return [Finding("bad", "The models were fitted on patients too", text)]


def _missing_proof(inputs: GroupInputs) -> list[Finding]:
    if inputs.chosen is None or "methods" in inputs.tables:
        return []
    text = nobody_travels(inputs) or (
        "Images were harmonized, but there is no table of travelling subjects. Whether the images "
        "come closer to the real target site was not measured."
    )
    return [Finding("caution", "No proof on travelling subjects", text)]


def _quick(inputs: GroupInputs) -> list[Finding]:
    if not is_quick(inputs):
        return []
    text = (
        "This run was made with --effort quick: fewer folds, seeds and controls. The tables' "
        ".json files say what was left out."
    )
    return [Finding("note", "Quick run", text)]


def _messages(inputs: GroupInputs) -> list[Block]:
    messages = inputs.run.messages if inputs.run else ()
    if not messages or inputs.run is None:
        return []
    return [
        make_table(
            f"Warnings and errors of the run ({len(messages)})",
            {"level": False, "message": False},
            [[Cell(level, "bad" if level != "warning" else ""), text] for level, text in messages],
            reading=f"From logs/{inputs.run.run_id}.log, each message once.",
            folded=True,
        )
    ]


def _unread_study(inputs: GroupInputs) -> list[Finding]:
    if inputs.study is not None or not inputs.tables or not inputs.study_problem:
        return []
    if inputs.from_features:
        text = (
            "All is told from the numbers of a table. No scan was looked at, so nothing is said "
            "about image quality, harmonized images or where a network looks."
        )
        return [Finding("note", "Made from a feature table", text)]
    return [Finding("note", "The study could not be read", inputs.study_problem)]


def _doubtful_masks(inputs: GroupInputs) -> list[Finding]:
    scans = inputs.scans
    names = list(scans.loc[scans["doubtful"], "stem"]) if len(scans) else []
    if not names:
        return []
    shown = listing([*names[:5], *([f"{len(names) - 5} more"] if len(names) > 5 else [])])
    return [
        Finding(
            "note",
            f"{count(len(names), 'scan')} with a doubtful head or brain mask",
            f"{shown}. Harmonized, but neither trained on nor scored; look at the person's page.",
        )
    ]
