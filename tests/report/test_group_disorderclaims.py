"""What may be claimed of the disorder's figures, the headline's line, and the methods."""

from pathlib import Path

import pytest

from bids_harmonize.report.group_about import group_methods
from bids_harmonize.report.group_blocks import Findings, Paragraph
from bids_harmonize.report.group_citation import cite_group_level
from bids_harmonize.report.group_disorderclaims import claim_blocks
from bids_harmonize.report.group_headline import headline_section
from bids_harmonize.report.group_inputs import read_group_inputs
from tests.report.disorder_fixture import FEATURES, write_disorder_tables
from tests.report.group_fixture import write_participants
from tests.report.site_fixture import change, write_site_tables, write_tsv

ALL = {"held_out_site": "all"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_disorder_tables(tmp_path)


def claims(folder: Path) -> tuple[str, str]:
    inputs = read_group_inputs(folder)
    may, may_not = claim_blocks(inputs, inputs.tables["casecontrol"])
    assert isinstance(may, Paragraph)
    assert isinstance(may_not, Paragraph)
    return may.text, may_not.text


def headline(folder: Path) -> tuple[str, dict[str, tuple[str, str]]]:
    first, found, *_ = headline_section(read_group_inputs(folder)).blocks
    assert isinstance(first, Paragraph)
    assert isinstance(found, Findings)
    return first.text, {row.title: (row.level, row.text) for row in found.rows}


def test_what_differs_is_told_with_the_arm_and_the_largest(folder: Path) -> None:
    may, may_not = claims(folder)
    assert may.startswith(
        "What may be claimed: 2 of 4 features differ between cases and controls on average, at a "
        "false discovery rate of 5 % in the arm combat; the largest is Left-Hippocampus, d "
        "\N{MINUS SIGN}0.60 (\N{MINUS SIGN}0.90 to \N{MINUS SIGN}0.30). "
    )
    assert "1 of them differs in every arm." in may
    assert "All are small" not in may
    assert "no cause" in may_not


def test_small_differences_are_called_small(folder: Path) -> None:
    change(folder, "casecontrol", {"arm": "combat", "feature": FEATURES[0]}, d=-0.45)
    assert "All are small" in claims(folder)[0]


def test_a_finding_of_one_arm_is_that_arms(folder: Path) -> None:
    _, may_not = claims(folder)
    assert "Found in the arm combat alone, and that arm's finding: lh_insula_thickness." in may_not
    assert (
        "Found in the arm raw alone, where the site may pass for the disorder: rh_cuneus_thickness"
    ) in may_not


def test_nothing_that_differs_is_no_proof_that_nothing_does(folder: Path) -> None:
    change(folder, "casecontrol", {"n_cases": 60}, q=0.2)
    may, may_not = claims(folder)
    assert "no difference was shown, which does not prove that there is none" in may
    assert "alone" not in may_not
    _, found = headline(folder)
    level, text = found["No difference between cases and controls was shown"]
    assert level == "note"
    assert "not shown to differ from 0: Left-Hippocampus" in text


def test_voxels_that_differ_are_told_where_no_feature_does(folder: Path) -> None:
    rows = [
        {"arm": arm, "n_voxels": 33000, "n_called": n, "volume_ml": n * 0.064, "p_least": 0.004,
         "d_least": -1.1, "d_most": 0.1, "n_permutations": 200, "n_cases": 60, "n_controls": 60}
        for arm, n in (("raw", 900), ("covariate", 64))
    ]  # fmt: skip
    write_tsv(folder / "group_voxelwise.tsv", rows)
    words = (
        "Voxel by voxel: arm covariate: 64 voxels of 33000 in grey matter (4.1 mL) differ between "
        "cases and controls at a corrected p of 0.05 (least p 0.004)."
    )
    assert f"1 of them differs in every arm. {words}" in claims(folder)[0]

    change(folder, "casecontrol", {"n_cases": 60}, q=0.2)
    may, _ = claims(folder)
    assert "no difference was shown" not in may
    assert f"(arm combat). {words} They are of smoothed density, features of whole" in may
    title = "No feature of 4 differs between cases and controls, but voxels do"
    assert words in headline(folder)[1][title][1]

    write_tsv(folder / "group_voxelwise.tsv", [rows[0], {**rows[1], "n_called": 0}])
    assert "no difference was shown" in claims(folder)[0]
    assert "No difference between cases and controls was shown" in headline(folder)[1]


def test_a_mean_over_sites_that_holds_no_difference_is_named(folder: Path) -> None:
    assert "at sites in general" not in claims(folder)[1]
    change(folder, "meta", {"site": "all"}, low=-1.2, high=0.1)
    assert "(\N{MINUS SIGN}1.20 to 0.10), an interval that holds 0" in claims(folder)[1]


@pytest.mark.parametrize(
    ("cells", "may_hold", "may_not_hold"),
    [
        ({}, True, "An AUC of 0.63 is too little for any use on a single person."),
        ({"auc": 0.82, "low": 0.7, "high": 0.9}, True, "An AUC of 0.82 is no diagnosis"),
        ({"low": 0.48}, False, "(0.48 to 0.71), p < 0.001; the interval holds .5."),
        ({"p_permutation": 0.2}, False, "p = 0.200; the p is not below .05."),
        ({"auc": 0.4, "low": 0.3, "high": 0.49}, False, "below chance"),
    ],
)
def test_people_are_told_as_far_as_the_interval_says(
    folder: Path, cells: dict[str, float], may_hold: bool, may_not_hold: str
) -> None:
    change(folder, "classification", {"arm": "combat", **ALL}, **cells)
    may, may_not = claims(folder)
    assert ("more often than by chance" in may) is may_hold
    assert may_not_hold in may_not


def test_worse_than_chance_is_a_caution(folder: Path) -> None:
    title = "Cases are told from controls worse than by chance"
    assert title not in headline(folder)[1]
    change(folder, "classification", {"arm": "combat", **ALL}, auc=0.4, low=0.3, high=0.49)
    assert headline(folder)[1][title][0] == "caution"


def test_raw_is_there_to_show_the_site(folder: Path) -> None:
    assert (
        "not to be believed: there 31.6 % of the median feature's variance goes with the site (by "
        "chance 1.8 %)."
    ) in claims(folder)[1]


def test_uneven_shares_of_cases_are_named_and_even_ones_are_not(folder: Path) -> None:
    assert "(40 % at Kyoto, 64 % at Oslo)" in claims(folder)[1]
    change(folder, "meta", {"site": "Oslo"}, n_cases=20)
    change(folder, "meta", {"site": "Kyoto"}, n_cases=30)
    assert "The share of cases" not in claims(folder)[1]


def test_a_confounded_group_is_named_with_its_strength(folder: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "20260101T120000.toml").write_text('[group]\ngroup_column = "Dx"\n')
    row = {"variable": "dx", "statistic": "cramers_v", "value": 0.61, "warning": "true"}
    write_tsv(folder / "group_siteconfounding.tsv", [row])
    assert "Site and group go together (Cramér's V 0.61)" in claims(folder)[1]
    change(folder, "siteconfounding", {"variable": "dx"}, warning="false")
    assert "Cramér" not in claims(folder)[1]


def test_the_site_is_never_said_to_be_gone(folder: Path) -> None:
    text = " ".join([*claims(folder), str(headline(folder))]).lower()
    assert "removed" not in text
    assert "site-free" not in text


def test_headline_has_one_line_on_the_disorder(folder: Path) -> None:
    lead, found = headline(folder)
    assert lead == (
        "60 cases were compared with 60 controls, the site being dealt with in 3 ways (raw, "
        "covariate and combat)."
    )
    assert found["2 of 4 features differ between cases and controls"] == (
        "note",
        "False discovery rate 5 %, arm combat (others: raw 2, covariate 1). Largest: "
        "Left-Hippocampus, d \N{MINUS SIGN}0.60 (\N{MINUS SIGN}0.90 to \N{MINUS SIGN}0.30). "
        "Cases told from controls at sites left out: AUC 0.63 (0.54 to 0.71), p < 0.001; too "
        "little for any use on a single person.",
    )


def test_methods_cite_what_ran(folder: Path) -> None:
    text = cite_group_level(folder).read_text(encoding="utf-8")
    for words in (
        *("Hedges 1981", "Benjamini and Hochberg 1995", "Paule and Mandel 1982"),
        *("Hartung and Knapp 2001", "Johnson 2007; Fortin 2018", "DeLong (1988)"),
        *("doi:10.3102/10769986006002107", "doi:10.1093/biostatistics/kxj037"),
        "Adjusted for age, sex, intracranial volume and motion.",
        *("doi:10.2307/2531595", "doi:10.1002/sim.791", "doi:10.6028/jres.087.022"),
    ):
        assert words in text
    assert "The site was told" not in text


def test_methods_leave_out_what_did_not_run(tmp_path: Path) -> None:
    write_participants(tmp_path)
    assert "Hedges" not in " ".join(group_methods(read_group_inputs(tmp_path))[0])
    write_disorder_tables(tmp_path, arms=("harmonized",))
    (tmp_path / "group_classification.tsv").unlink()
    (tmp_path / "group_meta.tsv").unlink()
    words, cited = group_methods(read_group_inputs(tmp_path))
    assert "on features of harmonized images" in " ".join(words)
    both = " ".join([*words, *cited])
    assert all(name not in both for name in ("ComBat", "Johnson", "Fortin", "DeLong", "Hartung"))


def test_both_stages_on_a_table_are_described(folder: Path) -> None:
    write_site_tables(folder, sites=("Oslo", "Kyoto"))
    change(folder, "siteclassification", {}, images="raw")
    words, _ = group_methods(read_group_inputs(folder))
    assert words[0].startswith("The site was told from a table of features")
    assert words[1].startswith("Cases were compared with controls")
