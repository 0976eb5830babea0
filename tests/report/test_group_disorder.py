"""What the section on the disorder shows, from made-up tables."""

from pathlib import Path

import pytest

from bids_harmonize.report.group import write_group_page
from bids_harmonize.report.group_blocks import Figure, Paragraph, Section, Table
from bids_harmonize.report.group_disorder import disorder_section
from bids_harmonize.report.group_disorderarms import label_lines
from bids_harmonize.report.group_inputs import read_group_inputs
from tests.report.disorder_fixture import ARMS, FEATURES, write_disorder_tables
from tests.report.group_fixture import write_participants
from tests.report.site_fixture import change, write_tsv

ALL = {"site": "all"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_disorder_tables(tmp_path)


def section(folder: Path) -> Section:
    return disorder_section(read_group_inputs(folder))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Section:
    return section(write_disorder_tables(tmp_path_factory.mktemp("disorder")))


def table(own: Section, title: str) -> Table:
    (found,) = [b for b in own.blocks if isinstance(b, Table) and title in b.title]
    return found


def rows(own: Section, title: str) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table(own, title).rows]


def figure(own: Section, title: str) -> Figure:
    (found,) = [b for b in own.blocks if isinstance(b, Figure) and title in b.title]
    return found


def absent(own: Section) -> list[str]:
    return [b.text for b in own.blocks if isinstance(b, Paragraph) and b.kind == "absent"]


def said(own: Section) -> str:
    """Everything that the section says outside pictures."""
    found = []
    for block in own.blocks:
        if isinstance(block, Paragraph):
            found.append(block.text)
        elif isinstance(block, Figure | Table):
            found += [block.title, block.reading]
    return " ".join(found)


def test_who_is_compared_and_what_is_adjusted_for_comes_first(built: Section) -> None:
    first = built.blocks[0]
    assert isinstance(first, Paragraph)
    assert first.text == (
        "60 cases were compared with 60 controls. 3 sites have enough of both for a comparison of "
        "their own. Controls are HC; well of the column dx. Adjusted for age, sex, intracranial "
        "volume and motion. Who was left out, and why, stands in the log."
    )


def test_arms_of_other_people_are_counted_apart(folder: Path) -> None:
    change(folder, "casecontrol", {"arm": "raw"}, n_cases=61)
    first = section(folder).blocks[0]
    assert isinstance(first, Paragraph)
    assert first.text.startswith(
        "61 cases were compared with 60 controls (arm raw) and 60 cases were compared with 60 "
        "controls (arm covariate and combat)."
    )


def test_arms_stand_side_by_side(built: Section) -> None:
    assert rows(built, "side by side") == [
        ["raw", "2 of 4", "31.6 %", "0.58 (0.47 to 0.68)", "not dealt with"],
        ["covariate", "1 of 4", "31.6 %", "0.62 (0.53 to 0.70)", "a covariate of the model"],
        ["combat", "2 of 4", "1.9 %", "0.63 (0.54 to 0.71)", "ComBat, fitted on controls"],
    ]


def test_features_are_ranked_by_the_arm_that_does_most_about_the_site(
    built: Section, tmp_path: Path
) -> None:
    assert [row[0] for row in rows(built, "every arm")] == [FEATURES[i] for i in (0, 1, 2, 3)]
    raw = section(write_disorder_tables(tmp_path, arms=("raw",)))
    assert [row[0] for row in rows(raw, "every arm")] == [FEATURES[i] for i in (0, 2, 1, 3)]
    assert "Largest in the arm raw first" in figure(raw, "All differences").reading


def test_every_arm_of_a_feature_stands_in_one_row_with_p_and_q(built: Section) -> None:
    found = table(built, "every arm")
    assert found.folded
    assert [column.name for column in found.columns[:4]] == [
        "feature",
        "raw: d",
        "raw: p",
        "raw: q",
    ]
    assert rows(built, "every arm")[1] == [
        "lh_insula_thickness",
        *("0.10 (\N{MINUS SIGN}0.20 to 0.40)", "0.233", "0.700"),
        *("0.20 (\N{MINUS SIGN}0.10 to 0.50)", "0.040", "0.120"),
        *("0.40 (0.10 to 0.70)", "0.010", "0.030"),
    ]
    assert [cell.tone for cell in found.rows[1]][7:] == ["strong", "", "strong"]
    assert {cell.tone for cell in found.rows[1][4:7]} == {""}  # p < .05, q is not


def test_shares_of_variance_are_medians_with_quartiles(built: Section) -> None:
    assert rows(built, "in numbers")[2] == [
        "combat", "1.9 (1.5 to 2.5)", "0.09 (0.09 to 0.09)",
    ]  # fmt: skip
    assert "stands in the model instead" in figure(built, "How much").reading


def test_forest_is_of_the_most_different_feature(built: Section) -> None:
    forest = figure(built, "at every site")
    assert forest.title == "Left-Hippocampus at every site"
    assert (
        "mean \N{MINUS SIGN}0.55 (\N{MINUS SIGN}0.95 to \N{MINUS SIGN}0.15), p = 0.002; variance"
    ) in forest.reading
    assert "(tau²) 0.013" in forest.reading
    assert "(I²) 25 %" in forest.reading


def test_arms_with_the_same_means_over_sites_share_a_table(built: Section, tmp_path: Path) -> None:
    assert "arm raw, covariate and combat" in table(built, "Mean over sites").title
    own = section(write_disorder_tables(tmp_path, arms=("raw", "combat", "harmonized")))
    titles = [b.title for b in own.blocks if isinstance(b, Table) and "Mean" in b.title]
    assert [title.partition("(")[2] for title in titles] == [
        "arm raw and combat)",
        "arm harmonized)",
    ]


def test_a_single_site_has_a_mean_without_interval(folder: Path) -> None:
    alone = {"low": "n/a", "high": "n/a", "p": "n/a", "i2": "n/a", "tau2": 0, "n_sites": 1}
    change(folder, "meta", ALL, **alone)
    own = section(folder)
    assert "Mean \N{MINUS SIGN}0.55, without an interval" in figure(own, "every site").reading
    assert rows(own, "Mean over sites")[0] == [
        "Left-Hippocampus", "1", "\N{MINUS SIGN}0.55", "n/a", "n/a", "0.000",
    ]  # fmt: skip
    assert "it takes two sites" in said(own)


def test_deviations_are_medians_and_the_largest_differences(built: Section) -> None:
    assert rows(built, "People who deviate")[1] == ["covariate", "5 %", "9 %", "1.00", "1.10"]
    largest = table(built, "Where most")
    assert "(arm combat)" in largest.title
    assert rows(built, "Where most")[0] == ["Right-Putamen", "5 % (2 to 9)", "12 % (9 to 16)"]


def test_global_auc_stands_beside_its_caveat_alone(built: Section) -> None:
    found = table(built, "Is a case told")
    assert rows(built, "Is a case told")[2] == [
        "combat", "3", "60", "30", "30", "0.63 (0.54 to 0.71)", "< 0.001", "0.65",
    ]  # fmt: skip
    assert found.columns[-1].name == "global AUC (not interpretable)"
    assert "not interpretable: where the share of cases differs" in found.reading
    others = [b for b in built.blocks if isinstance(b, Table) and b != found]
    assert not any("0.65" in cell.text for b in others for row in b.rows for cell in row)


def test_perfectly_told_people_leave_no_interval(folder: Path) -> None:
    change(folder, "classification", {"held_out_site": "all"}, auc=1, low="n/a", high="n/a")
    own = section(folder)
    assert rows(own, "Is a case told")[0][5] == "1.00"
    assert "the AUC (1.00) has no interval" in said(own)
    assert "more often than by chance" not in said(own)


def test_sites_that_were_left_out_are_folded(built: Section) -> None:
    found = table(built, "The same by site")
    assert found.folded
    assert [row[:3] for row in rows(built, "The same by site")] == [
        ["Kyoto", "20", "15"], ["Lund", "8", "6"], ["Oslo", "32", "9"],
    ]  # fmt: skip


def test_published_maps_are_shown_where_there_are_any(built: Section, folder: Path) -> None:
    assert rows(built, "published maps")[0] == ["enigma", "raw", "14", "0.90", "< 0.001"]
    (folder / "group_comparedmaps.tsv").unlink()
    assert "published maps" not in said(section(folder))


def test_what_is_not_there_is_said(folder: Path) -> None:
    for key in ("meta", "siteeffects", "normative", "classification"):
        (folder / f"group_{key}.tsv").unlink()
    own = section(folder)
    told = absent(own)
    assert [text.split()[3] for text in told] == [
        "group_siteeffects.tsv,", "group_meta.tsv:", "group_normative.tsv:",
        "group_classification.tsv:",
    ]  # fmt: skip
    assert "nobody was asked at a site left out" in said(own)


def test_a_study_without_the_stage_is_told_of_the_group_column(tmp_path: Path) -> None:
    write_participants(tmp_path)
    (text,) = absent(section(tmp_path))
    assert "--group-column" in text


def test_a_harmonized_arm_alone_is_shown_as_such(tmp_path: Path) -> None:
    own = section(write_disorder_tables(tmp_path, arms=("harmonized",)))
    assert rows(own, "side by side")[0][:2] == ["harmonized", "1 of 4"]
    assert "Only the arm harmonized is here" in said(own)
    assert "do not compare the groups there" not in said(own)
    assert "arm harmonized" in figure(own, "at every site").reading


def test_an_output_of_tables_alone_is_made_from_features(folder: Path) -> None:
    inputs = read_group_inputs(folder)
    assert inputs.from_features
    page = write_group_page(folder).read_text(encoding="utf-8")
    assert "Made from a feature table" in page
    assert "Sites with enough cases and controls" in page
    assert "The site was told" not in page


def test_tables_of_own_images_are_not_made_from_features(folder: Path) -> None:
    write_tsv(folder / "group_features.tsv", [{"participant_id": "sub-01", "site": "Oslo"}])
    assert not read_group_inputs(folder).from_features
    (folder / "group_features.tsv").unlink()
    write_participants(folder)
    assert not read_group_inputs(folder).from_features


def test_two_hundred_features_keep_the_page_small(tmp_path: Path) -> None:
    names = [f"lh_{'averylongregion' * 3}{n}_thickness" for n in range(200)]
    write_disorder_tables(tmp_path, arms=(*ARMS, "harmonized"), features=names)
    path = write_group_page(tmp_path)
    assert path.stat().st_size < 1_000_000
    assert "The 25 largest of 200" in path.read_text(encoding="utf-8")


def test_long_names_fit_two_lines_and_keep_both_ends() -> None:
    lines = label_lines(f"lh_{'x' * 90}_area").splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 28
    assert lines[0].startswith("lh_")
    assert "".join(lines).endswith("_area")


def test_names_are_escaped(folder: Path) -> None:
    change(folder, "casecontrol", {"feature": FEATURES[0]}, feature="<b>Hippocampus</b>")
    page = write_group_page(folder).read_text(encoding="utf-8")
    assert "<b>Hippocampus" not in page
    assert "&lt;b&gt;Hippocampus" in page
