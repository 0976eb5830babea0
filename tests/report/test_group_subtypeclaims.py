"""What may be claimed of kinds of cases, the headline's line, and the methods."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bids_harmonize.report.group_about import group_methods
from bids_harmonize.report.group_blocks import Findings, Paragraph
from bids_harmonize.report.group_citation import cite_group_level
from bids_harmonize.report.group_headline import headline_section
from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.report.group_subtypeclaims import claim_blocks
from tests.report.disorder_fixture import write_disorder_tables
from tests.report.group_fixture import write_participants
from tests.report.site_fixture import write_tsv
from tests.report.subtype_fixture import (
    BY_DEGREE,
    DIMENSIONAL,
    DISCRETE,
    NONE,
    UNCERTAIN,
    write_subtype_tables,
)

Arms = Mapping[str, Mapping[str, Any]]


def claims(folder: Path, arms: Arms | None = None) -> tuple[str, str]:
    found = claim_blocks(read_group_inputs(write_subtype_tables(folder, arms)))
    texts = [block.text for block in found if isinstance(block, Paragraph)]
    return texts[0], " ".join(texts[1:])


def headline(folder: Path, arms: Arms | None = None) -> tuple[str, dict[str, tuple[str, str]]]:
    write_subtype_tables(folder, arms)
    first, found, *_ = headline_section(read_group_inputs(folder)).blocks
    assert isinstance(first, Paragraph)
    assert isinstance(found, Findings)
    return first.text, {row.title: (row.level, row.text) for row in found.rows}


def test_subtypes_are_claimed_with_their_evidence_where_they_are_discrete(tmp_path: Path) -> None:
    may, may_not = claims(tmp_path)
    assert may == (
        "What may be claimed: That the 60 cases are of 2 kinds is supported (arm combat): the gap "
        "between clusters is wider than in one blob of all features, put through the whole search "
        "(p = 0.010) and in one blob in the chosen directions (p = 0.002), and the clusters come "
        "again in resampled people (0.93), in halves (0.81) and where a site is left out (0.70). "
        "The arm covariate says the same."
    )
    assert (
        "The arms do not agree (combat and covariate: discrete with 2 subtypes; raw: none)."
    ) in may_not
    assert "do not test that there are subtypes" in may_not
    assert "go with sites" not in may_not


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (NONE, "the 60 cases vary more than controls in no direction."),
        (
            BY_DEGREE,
            "in 2 directions, and one cluster describes them best. They differ by degree.",
        ),
        (DIMENSIONAL, "3 clusters describe them best, but the gap between them is not shown"),
    ],
)
def test_no_subtypes_is_a_normal_answer_and_no_proof(
    tmp_path: Path, chosen: Mapping[str, Any], words: str
) -> None:
    may, _ = claims(tmp_path, {"raw": chosen, "combat": chosen})
    assert "No subtypes are supported, which is a normal answer (arm combat)" in may
    assert words in may
    assert "That does not prove that there are none" in may
    assert "The arm raw says the same." in may


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (
            {"p_null_full": 0.06},
            "one blob of all features, put through the whole search (p = 0.06",
        ),
        ({"p_null_subspace": 0.0502}, "in one blob in the chosen directions (p = 0.0502)"),
        ({"bootstrap_ari": 0.5953}, "often enough in resampled people (0.595); at least 0.60"),
        ({"splithalf_ari": 0.42}, "often enough in halves (0.42); at least 0.60 is asked for"),
        ({"leavesite_ari": 0.1}, "often enough where a site is left out (0.10); at least"),
    ],
)
def test_uncertain_names_the_condition_that_failed(
    tmp_path: Path, cells: dict[str, float], words: str
) -> None:
    row = {**DISCRETE, "verdict": "uncertain", **cells}
    may, _ = claims(tmp_path, {"combat": row})
    assert "It is uncertain whether there are any (arm combat): 2 clusters" in may
    assert words in may
    assert ("the gap between them" in may) is any(name.startswith("p_") for name in cells)
    assert ("come again" in may) is any(name.endswith("_ari") for name in cells)


def test_two_conditions_that_failed_are_both_named(tmp_path: Path) -> None:
    may, _ = claims(tmp_path, {"combat": {**UNCERTAIN, "p_null_full": 0.06}})
    assert "(p = 0.060), and they do not come again often enough in halves (0.42)" in may


def test_an_uncertain_arm_beside_a_discrete_one_is_told(tmp_path: Path) -> None:
    _, may_not = claims(tmp_path, {"raw": UNCERTAIN, "combat": DISCRETE})
    assert "(combat: discrete with 2 subtypes; raw: uncertain with 2 clusters)." in may_not
    assert "In the arm raw, 2 clusters describe the cases best, but they do not come" in may_not


def test_subtypes_of_a_lesser_arm_are_that_arms(tmp_path: Path) -> None:
    arms = {"raw": DISCRETE, "combat": NONE}
    may, may_not = claims(tmp_path, arms)
    assert "No subtypes are supported" in may
    assert "Subtypes of the arm raw are that arm's: the arm combat does more about" in may_not
    assert "Subtypes in the arm raw alone" not in headline(tmp_path)[1]
    level, text = headline(tmp_path, arms)[1]["Subtypes in the arm raw alone"]
    assert level == "caution"
    assert "a site may pass for a subtype" in text


def test_arms_without_subtypes_that_disagree_are_named(tmp_path: Path) -> None:
    _, may_not = claims(tmp_path, {"raw": NONE, "combat": DIMENSIONAL})
    assert "(combat: dimensional with 3 clusters; raw: none). None of them supports" in may_not


def test_a_single_arm_is_named_as_the_only_one(tmp_path: Path) -> None:
    assert "Only the arm raw was searched" in claims(tmp_path, {"raw": NONE})[1]


def test_clusters_that_go_with_sites_are_named(tmp_path: Path) -> None:
    _, may_not = claims(tmp_path, {"combat": {**DISCRETE, "v_site": 0.5}})
    assert "Clusters go with sites (Cramér's V 0.50 in combat)" in may_not
    assert "These figures do not tell which." in may_not


@pytest.mark.parametrize(("v_raw", "said"), [(0.28, True), (0.14, False)])
def test_raw_clusters_that_go_with_sites_more_are_named(
    tmp_path: Path, v_raw: float, said: bool
) -> None:
    arms = {"raw": {**DISCRETE, "v_site": v_raw}, "combat": DISCRETE}
    _, may_not = claims(tmp_path, arms)
    assert ("go with sites more than those of other arms" in may_not) is said
    assert "Clusters go with sites (" not in may_not


def test_clusters_that_go_with_sex_are_named(tmp_path: Path) -> None:
    _, may_not = claims(tmp_path, {"combat": {**DISCRETE, "v_sex": 0.44}})
    assert "Clusters go with sex (Cramér's V 0.44 in combat)" in may_not


@pytest.mark.parametrize(
    ("strength", "q", "said"), [(0.2, 0.01, True), (0.2, 0.06, False), (0.05, 0.01, False)]
)
def test_clusters_that_go_with_image_quality_are_named(
    tmp_path: Path, strength: float, q: float, said: bool
) -> None:
    write_subtype_tables(tmp_path, {"combat": DISCRETE})
    row = {"arm": "combat", "variable": "cjv", "kind": "quality", "n": 60, "p": q / 2}
    write_tsv(tmp_path / "group_subtypeassociations.tsv", [{**row, "strength": strength, "q": q}])
    found = claim_blocks(read_group_inputs(tmp_path))
    words = "go with the quality of the images (share of variance: cjv 0.20 in combat)"
    assert any(words in b.text for b in found if isinstance(b, Paragraph)) is said


def test_a_single_site_cannot_speak_for_others(tmp_path: Path) -> None:
    row = {**UNCERTAIN, "splithalf_ari": 0.81, "leavesite_ari": None, "v_site": None}
    may, may_not = claims(tmp_path, {"combat": row})
    assert "but whether they come again where a site is left out could not be asked." in may
    assert "That clusters would be found at another site" in may_not


def test_nothing_is_ever_proved(tmp_path: Path) -> None:
    for arms in (None, {"combat": UNCERTAIN}, {"raw": DIMENSIONAL}, {"raw": NONE}):
        text = " ".join([*claims(tmp_path, arms), str(headline(tmp_path, arms))]).lower()
        assert "proved" not in text
        assert "proven" not in text
        (tmp_path / "group_subtypemaps.tsv").unlink(missing_ok=True)


def test_headline_notes_subtypes_once(tmp_path: Path) -> None:
    lead, found = headline(tmp_path)
    assert lead == "Among the 60 cases, 2 subtypes are supported (arm combat)."
    assert found["2 subtypes of cases are supported"] == (
        "note",
        "Arm combat: both nulls reject, and the clusters come again. Other arms: covariate: "
        "discrete with 2 subtypes; raw: none.",
    )


def test_headline_warns_of_uncertain_clusters(tmp_path: Path) -> None:
    lead, found = headline(tmp_path, {"combat": UNCERTAIN})
    assert lead == "Whether the 60 cases are of several kinds is uncertain (arm combat)."
    level, text = found["Whether cases are of several kinds is uncertain"]
    assert level == "caution"
    assert "in halves (0.42)" in text
    assert text.endswith("No subtype may be claimed.")


def test_no_subtypes_is_a_sentence_and_no_finding(tmp_path: Path) -> None:
    lead, found = headline(tmp_path, {"raw": NONE, "combat": DIMENSIONAL})
    assert lead.startswith("Subtypes of the 60 cases are not supported (arm combat)")
    assert not [title for title in found if "ubtype" in title or "kinds" in title]


def test_people_need_not_be_listed(tmp_path: Path) -> None:
    write_subtype_tables(tmp_path)
    (tmp_path / "group_subtypes.tsv").unlink()
    may = claim_blocks(read_group_inputs(tmp_path))[0]
    assert isinstance(may, Paragraph)
    assert "That the cases are of 2 kinds is supported" in may.text


def test_methods_cite_what_ran(tmp_path: Path) -> None:
    text = cite_group_level(write_subtype_tables(tmp_path)).read_text(encoding="utf-8")
    for words in (
        *("1 to 4 clusters", "Liu 2008; Dinga 2019", "Varol 2017", "Sugihara 2017"),
        *("doi:10.1198/016214508000000454", "doi:10.1016/j.nicl.2019.101796"),
        *("doi:10.1016/j.neuroimage.2016.02.041", "doi:10.1093/schbul/sbw176"),
        *("doi:10.1016/j.jkss.2012.10.002", "doi:10.1093/biostatistics/kxj037"),
    ):
        assert words in text


def test_methods_leave_out_what_did_not_run(tmp_path: Path) -> None:
    write_participants(tmp_path)
    assert "Subtypes" not in " ".join(group_methods(read_group_inputs(tmp_path))[0])
    write_subtype_tables(tmp_path, {"raw": NONE})
    path = tmp_path / "group_subtypevalidity.tsv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "\tsom\t" not in line))
    words, cited = group_methods(read_group_inputs(tmp_path))
    both = " ".join([*words, *cited])
    assert "Varol" in both
    assert all(name not in both for name in ("Sugihara", "ComBat", "Johnson"))


def test_both_stages_cite_a_work_once(tmp_path: Path) -> None:
    write_subtype_tables(write_disorder_tables(tmp_path))
    words, cited = group_methods(read_group_inputs(tmp_path))
    assert len(cited) == len(set(cited))
    assert sum("Fortin 2018" in text for text in words) == 2  # each stage names its arms
