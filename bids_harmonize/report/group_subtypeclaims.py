"""What may be claimed of kinds of cases, and what may not: sentences, and a finding."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Finding, Paragraph
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_subtypearms import (
    LARGE_V,
    NULLS,
    STABILITIES,
    ari_words,
    best_first,
    cases_words,
    chosen_row,
    directions_words,
    failed_words,
    n_clusters,
    noun,
    null_words,
)
from bids_harmonize.report.group_words import count, is_number, listing, number

_MORE_V = 0.05
"""Difference in Cramér's V between arms that is worth a word."""
_CALLED = 0.05


def claim_blocks(inputs: GroupInputs) -> list[Block]:
    """What may be claimed, and what may not.

    Parameters
    ----------
    inputs
        What is on disk, with an arm that has a verdict.

    Returns
    -------
    list of Block
        Two paragraphs, which depend on the figures.
    """
    best = best_first(inputs)[0]
    may = [_verdict(inputs, best), *_others(inputs), *_no_proof(inputs)]
    may_not = [
        *_one_arm_only(inputs),
        *_disagreement(inputs),
        *_uncertain_arms(inputs),
        *_with_sites(inputs),
        *_with_people(inputs),
        *_with_quality(inputs),
        *_other_sites(inputs),
        *_circular(inputs),
    ]
    found: list[Block] = [Paragraph(f"What may be claimed: {' '.join(may)}", "lead")]
    if may_not:
        found.append(Paragraph(f"What may not be claimed: {' '.join(may_not)}"))
    return found


def subtypes_sentence(inputs: GroupInputs) -> str:
    """The answer, for the page's first paragraph; empty where nobody looked."""
    arms = best_first(inputs)
    if not arms:
        return ""
    row, people = chosen_row(inputs, arms[0]), cases_words(inputs, arms[0])
    if row["verdict"] == "discrete":
        return f"Among {people}, {n_clusters(row)} subtypes are supported (arm {arms[0]})."
    if row["verdict"] == "uncertain":
        return f"Whether {people} are of several kinds is uncertain (arm {arms[0]})."
    return f"Subtypes of {people} are not supported (arm {arms[0]}), which is a normal answer."


def subtypes_findings(inputs: GroupInputs) -> list[Finding]:
    """Subtypes, or a doubt; "no subtypes" is a normal answer and no finding.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Finding
        One at most, of the arm that does most about the site, else of an arm that finds subtypes
        alone.
    """
    arms = best_first(inputs)
    if not arms:
        return []
    row = chosen_row(inputs, arms[0])
    others = _listed_verdicts(inputs, arms[1:])
    tail = f" Other arms: {others}." if others else ""
    if row["verdict"] == "discrete":
        title = f"{n_clusters(row)} subtypes of cases are supported"
        text = f"Arm {arms[0]}: both nulls reject, and the clusters come again.{tail}"
        return [Finding("note", title, " ".join([text, *_with_sites(inputs, [arms[0]])]))]
    if row["verdict"] == "uncertain":
        title = "Whether cases are of several kinds is uncertain"
        text = f"Arm {arms[0]}: {_doubt(row)}. No subtype may be claimed.{tail}"
        return [Finding("caution", title, text)]
    alone = [arm for arm in arms if chosen_row(inputs, arm)["verdict"] == "discrete"]
    if not alone:
        return []
    title = f"Subtypes in the arm {listing(alone)} alone"
    text = (
        f"The arm {arms[0]}, which does more about the site, does not support them "
        f"({row['verdict']}): a site may pass for a subtype."
    )
    return [Finding("caution", title, text)]


def _doubt(row: pd.Series) -> str:
    failed = failed_words(row) or "a condition did not hold"
    return f"{count(n_clusters(row), 'cluster')} describe the cases best, but {failed}"


def _verdict(inputs: GroupInputs, arm: str) -> str:
    row, people = chosen_row(inputs, arm), cases_words(inputs, arm)
    vary = f"{people} vary more than controls in {directions_words(row)}"
    if row["verdict"] == "discrete":
        nulls = " and in ".join(null_words(row, null) for null in NULLS)
        again = listing(ari_words(row, index) for index in STABILITIES if is_number(row[index]))
        return (
            f"That {people} are of {n_clusters(row)} kinds is supported (arm {arm}): the gap "
            f"between clusters is wider than in {nulls}, and the clusters come again {again}."
        )
    if row["verdict"] == "uncertain":
        return f"No subtypes. It is uncertain whether there are any (arm {arm}): {_doubt(row)}."
    if row["verdict"] == "none":
        return (
            f"No subtypes are supported, which is a normal answer (arm {arm}): {people} vary more "
            "than controls in no direction. What all cases share is a matter of the section "
            "Disorder."
        )
    if n_clusters(row) == 1:
        return (
            f"No subtypes are supported, which is a normal answer (arm {arm}): {vary}, and one "
            "cluster describes them best. They differ by degree."
        )
    return (
        f"No subtypes are supported, which is a normal answer (arm {arm}): {vary}, and "
        f"{n_clusters(row)} clusters describe them best, but {failed_words(row)}. Clusters "
        "without a gap between them describe people who differ by degree, or a few who are far "
        "off."
    )


def _others(inputs: GroupInputs) -> list[str]:
    """The arms whose answer is the best one's too."""
    best, *rest = best_first(inputs)
    first = _answer(chosen_row(inputs, best))
    same = [arm for arm in rest if _answer(chosen_row(inputs, arm)) == first]
    if not same:
        return []
    verb = "says" if len(same) == 1 else "say"
    return [f"The arm {listing(same)} {verb} the same."]


def _answer(row: pd.Series) -> tuple[str, int]:
    """What two arms agree in; without a doubt or a subtype, the number of clusters is nothing."""
    verdict = str(row["verdict"])
    return verdict, n_clusters(row) if verdict in ("discrete", "uncertain") else 0


def _no_proof(inputs: GroupInputs) -> list[str]:
    verdicts = {chosen_row(inputs, arm)["verdict"] for arm in best_first(inputs)}
    if "discrete" in verdicts:
        return []
    return [
        "That does not prove that there are none: kinds of few people, or in what was not "
        "measured, stay possible."
    ]


def _uncertain_arms(inputs: GroupInputs) -> list[str]:
    """Which condition failed in the arms that were not told of yet."""
    found = []
    for arm in best_first(inputs)[1:]:
        row = chosen_row(inputs, arm)
        if row["verdict"] == "uncertain":
            found.append(f"In the arm {arm}, {_doubt(row)}.")
    return found


def _one_arm_only(inputs: GroupInputs) -> list[str]:
    arms = best_first(inputs)
    if len(arms) > 1:
        return []
    return [
        f"Only the arm {arms[0]} was searched: whether another way to deal with the site would "
        "give the same is not known."
    ]


def _disagreement(inputs: GroupInputs) -> list[str]:
    arms = best_first(inputs)
    rows = {arm: chosen_row(inputs, arm) for arm in arms}
    if len({_answer(row) for row in rows.values()}) < 2:
        return []
    text = f"The arms do not agree ({_listed_verdicts(inputs, arms)})."
    discrete = [arm for arm in arms if rows[arm]["verdict"] == "discrete"]
    if not discrete:
        text += " None of them supports subtypes."
    elif rows[arms[0]]["verdict"] != "discrete":
        text += (
            f" Subtypes of the arm {listing(discrete)} are that arm's: the arm {arms[0]} does "
            "more about the site and does not support them."
        )
    return [text]


def _listed_verdicts(inputs: GroupInputs, arms: list[str]) -> str:
    by_answer: dict[str, list[str]] = {}
    for arm in arms:
        row = chosen_row(inputs, arm)
        k = n_clusters(row)
        words = str(row["verdict"]) + (f" with {count(k, noun(row))}" if k > 1 else "")
        by_answer.setdefault(words, []).append(arm)
    return "; ".join(f"{listing(own)}: {words}" for words, own in by_answer.items())


def _with_sites(inputs: GroupInputs, arms: list[str] | None = None) -> list[str]:
    strength = {
        arm: float(row["v_site"])
        for arm in arms or best_first(inputs)
        for row in (chosen_row(inputs, arm),)
        if n_clusters(row) > 1 and is_number(row["v_site"])
    }
    found = []
    large = [f"{number(v)} in {arm}" for arm, v in strength.items() if v > LARGE_V]
    if large:
        found.append(
            f"Clusters go with sites (Cramér's V {listing(large)}): the sites' cases are of "
            "different kinds, or what a site does passes for a kind of case. These figures do not "
            "tell which."
        )
    raw = strength.pop("raw", None)
    if raw is not None and strength and raw > max(strength.values()) + _MORE_V:
        arm = max(strength, key=lambda name: strength[name])
        found.append(
            f"Clusters of the arm raw go with sites more than those of other arms (V "
            f"{number(raw)}; {arm} {number(strength[arm])}): part of what it finds may be the "
            "site."
        )
    return found


def _with_people(inputs: GroupInputs) -> list[str]:
    """Sex, which can pass for a kind of case where the model of controls does not fit."""
    large = [
        f"{number(row['v_sex'])} in {arm}"
        for arm in best_first(inputs)
        for row in (chosen_row(inputs, arm),)
        if n_clusters(row) > 1 and is_number(row["v_sex"]) and row["v_sex"] > LARGE_V
    ]
    if not large:
        return []
    return [f"Clusters go with sex (Cramér's V {listing(large)}), which was adjusted for."]


def _with_quality(inputs: GroupInputs) -> list[str]:
    """Image quality: what moves or blurs can pass for a kind of case."""
    table = inputs.tables.get("subtypeassociations")
    if table is None:
        return []
    own = table[(table["kind"] == "quality") & (table["q"] < _CALLED)]
    found = []
    for arm in best_first(inputs):
        rows = own[own["arm"] == arm].sort_values("strength", ascending=False)
        if len(rows) and rows["strength"].iloc[0] > LARGE_V**2:
            row = rows.iloc[0]
            found.append(f"{row['variable']} {number(row['strength'])} in {arm}")
    if not found:
        return []
    return [
        f"Clusters go with the quality of the images (share of variance: {listing(found)}): what "
        "moves or blurs may pass for a kind of case."
    ]


def _other_sites(inputs: GroupInputs) -> list[str]:
    rows = [chosen_row(inputs, arm) for arm in best_first(inputs)]
    if not any(n_clusters(row) > 1 and not is_number(row["leavesite_ari"]) for row in rows):
        return []
    return [
        "That clusters would be found at another site: with a single site, or hardly anybody "
        "beside one, nobody could be left out."
    ]


def _circular(inputs: GroupInputs) -> list[str]:
    if "subtypemaps" not in inputs.tables:
        return []
    return [
        "Maps of clusters, with their p and q, do not test that there are subtypes: the clusters "
        "were made from these features, and would differ in them whatever the cases are."
    ]
