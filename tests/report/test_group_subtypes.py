"""What the section on subtypes shows, from made-up tables."""

from pathlib import Path

import pandas as pd
import pytest

from bids_harmonize.report.group import write_group_page
from bids_harmonize.report.group_blocks import Block, Figure, Fold, Paragraph, Section, Table
from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.report.group_study import study_section
from bids_harmonize.report.group_subtypenulls import _panels
from bids_harmonize.report.group_subtypes import subtypes_section
from tests.report.group_fixture import write_participants
from tests.report.site_fixture import change
from tests.report.subtype_fixture import (
    BY_DEGREE,
    DIMENSIONAL,
    DISCRETE,
    FEATURES,
    NONE,
    UNCERTAIN,
    write_subtype_tables,
)

NA, MINUS = "n/a", "\N{MINUS SIGN}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_subtype_tables(tmp_path)


def section(folder: Path) -> Section:
    return subtypes_section(read_group_inputs(folder))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Section:
    return section(write_subtype_tables(tmp_path_factory.mktemp("subtypes")))


def of_kind(blocks: tuple[Block, ...], kind: type[Block], title: str) -> list[Block]:
    return [block for block in blocks if isinstance(block, kind) and title in block.title]


def table(own: Section, title: str) -> Table:
    (found,) = of_kind(own.blocks, Table, title)
    assert isinstance(found, Table)
    return found


def rows(own: Section, title: str) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table(own, title).rows]


def tones(own: Section, title: str) -> list[list[str]]:
    return [[cell.tone for cell in row] for row in table(own, title).rows]


def absent(own: Section) -> list[str]:
    return [b.text for b in own.blocks if isinstance(b, Paragraph) and b.kind == "absent"]


def test_a_discrete_arm_stands_beside_a_none_arm(built: Section) -> None:
    assert rows(built, "The verdict of each arm") == [
        ["raw", "none: no subtypes supported", "60", "0", "1"],
        ["covariate", "discrete: 2 subtypes supported", "60", "1", "2 (38, 22)"],
        ["combat", "discrete: 2 subtypes supported", "60", "1", "2 (38, 22)"],
    ]


def test_verdicts_without_subtypes_differ_in_words(tmp_path: Path) -> None:
    arms = {"raw": DIMENSIONAL, "covariate": BY_DEGREE, "combat": UNCERTAIN}
    own = section(write_subtype_tables(tmp_path, arms))
    assert [row[1] for row in rows(own, "The verdict of each arm")] == [
        "dimensional: no subtypes supported",
        "dimensional: no subtypes supported",
        "uncertain: no subtypes claimed",
    ]
    assert rows(own, "The verdict of each arm")[0][4] == "3 (30, 26, 4)"


def test_conditions_and_what_clusters_go_with_stand_in_one_row(built: Section) -> None:
    found = rows(built, "What speaks for")
    assert found[0] == ["raw", "1", *[NA] * 9]
    assert found[2] == [
        "combat", "2", "0.010", "0.002", "0.93", "0.81", "0.70", "0.12", "0.05", "0.03", "0.04",
    ]  # fmt: skip
    assert tones(built, "What speaks for")[0][2:] == ["muted"] * 9
    assert tones(built, "What speaks for")[2][2:] == ["good"] * 5 + [""] * 4


@pytest.mark.parametrize(
    ("column", "value", "place", "text"),
    [
        ("p_null_full", 0.06, 2, "0.060"),
        ("p_null_subspace", 11 / 219, 3, "0.0502"),
        ("bootstrap_ari", 0.5953, 4, "0.595"),
        ("splithalf_ari", 0.3, 5, "0.30"),
        ("leavesite_ari", -0.01, 6, f"{MINUS}0.01"),
    ],
)
def test_each_condition_that_fails_is_marked(
    folder: Path, column: str, value: float, place: int, text: str
) -> None:
    change(folder, "subtypevalidity", {"arm": "combat", "verdict": "discrete"}, **{column: value})
    own = section(folder)
    assert rows(own, "What speaks for")[2][place] == text
    marked = tones(own, "What speaks for")[2][2:7]
    assert [i for i, tone in enumerate(marked, start=2) if tone == "bad"] == [place]


def test_one_cluster_everywhere_leaves_nothing_to_ask(tmp_path: Path) -> None:
    own = section(write_subtype_tables(tmp_path, {"raw": NONE, "combat": BY_DEGREE}))
    titles = [block.title for block in own.blocks if not isinstance(block, Paragraph)]
    assert titles == [
        "The verdict of each arm",
        "Do the clusters come again?",
        "Other methods, for comparison only",
    ]
    assert absent(own) == []


def test_stability_leaves_one_cluster_out_and_says_so(built: Section) -> None:
    (figure,) = of_kind(built.blocks, Figure, "come again")
    assert isinstance(figure, Figure)
    assert "k = 1 is left out" in figure.reading
    assert "curve is missing" not in figure.reading


def test_a_table_of_one_cluster_alone_has_no_curve(folder: Path) -> None:
    change(folder, "subtypevalidity", {"method": "mixture"}, k=1, verdict="none")
    own = section(folder)
    assert of_kind(own.blocks, Figure, "come again") == []
    assert any("no stability is drawn" in text for text in absent(own))


def test_a_single_site_leaves_a_curve_out(folder: Path) -> None:
    change(folder, "subtypevalidity", {"method": "mixture"}, leavesite_ari=NA, v_site=NA)
    own = section(folder)
    (figure,) = of_kind(own.blocks, Figure, "come again")
    assert isinstance(figure, Figure)
    assert "that curve is missing" in figure.reading
    assert rows(own, "What speaks for")[2][6:8] == [NA, NA]
    assert tones(own, "What speaks for")[2][6] == "muted"


def test_maps_of_the_best_arm_are_open_and_others_folded(built: Section) -> None:
    (figure,) = of_kind(built.blocks, Figure, "against controls")
    assert figure.title == "Subtypes against controls, arm combat"
    assert "People, subtype by subtype: 38, 22." in figure.reading
    assert "do not test that there are subtypes" in figure.reading
    (fold,) = of_kind(built.blocks, Fold, "against controls")
    assert fold.title == "Subtypes against controls in the arm covariate (discrete)"


def test_features_are_ranked_by_the_distance_between_subtypes(built: Section) -> None:
    assert rows(built, "The same of all 4 features (arm combat)") == [
        [
            FEATURES[place],
            *(cell for d in effects for cell in (d.replace("-", MINUS), "0.010", "0.020")),
        ]
        for place, effects in (
            (0, ("-1.20 (-1.50 to -0.90)", "0.10 (-0.20 to 0.40)")),
            (2, ("-0.30 (-0.60 to 0.00)", "0.40 (0.10 to 0.70)")),
            (1, ("-1.50 (-1.80 to -1.20)", "-1.40 (-1.70 to -1.10)")),
            (3, ("0.10 (-0.20 to 0.40)", "0.00 (-0.30 to 0.30)")),
        )
    ]
    assert table(built, "The same of all").folded


def test_clusters_that_are_no_subtypes_are_called_clusters(tmp_path: Path) -> None:
    own = section(write_subtype_tables(tmp_path, {"raw": DIMENSIONAL, "combat": UNCERTAIN}))
    (figure,) = of_kind(own.blocks, Figure, "against controls")
    assert figure.title == "Clusters against controls, arm combat"
    (fold,) = of_kind(own.blocks, Fold, "against controls")
    assert isinstance(fold, Fold)
    assert fold.title == "Clusters against controls in the arm raw (dimensional)"
    first = fold.blocks[0]
    assert isinstance(first, Figure)
    assert "Too small to be compared: 1 cluster." in first.reading


def test_clusters_too_small_for_a_map_are_told(folder: Path) -> None:
    (folder / "group_subtypemaps.tsv").unlink()
    assert "no cluster of the arm combat: they are too small" in absent(section(folder))[0]


def test_many_features_are_cut_and_the_rest_is_named(tmp_path: Path) -> None:
    names = [f"lh_r{i}_thickness" for i in range(400)]
    own = section(write_subtype_tables(tmp_path, features=names))
    (figure,) = of_kind(own.blocks, Figure, "against controls")
    assert isinstance(figure, Figure)
    assert figure.reading.startswith("The 15 most different of 400 features")
    found = table(own, "The same of the first 300 of 400 features")
    assert "The other 100 stand in group_subtypemaps.tsv." in found.reading


def test_associations_name_their_measure_strongest_evidence_first(built: Section) -> None:
    assert rows(built, "What else clusters differ in")[:2] == [
        ["score", "combat", "share of variance", "0.48", "< 0.001", "< 0.001", "60"],
        ["medicated", "combat", "Cramér's V", "0.11", "0.300", "0.300", "55"],
    ]
    assert not table(built, "What else clusters differ in").folded


def test_without_associations_the_reason_is_told(folder: Path) -> None:
    (folder / "group_subtypeassociations.tsv").unlink()
    assert "nothing else is known of enough cases" in absent(section(folder))[0]


def test_associations_of_no_subtypes_are_folded(tmp_path: Path) -> None:
    own = section(write_subtype_tables(tmp_path, {"combat": UNCERTAIN}))
    assert table(own, "What else clusters differ in").folded


def test_cases_of_each_cluster_are_counted_by_site(built: Section) -> None:
    assert rows(built, "by site (arm combat)") == [["Kyoto", "19", "11"], ["Oslo", "19", "11"]]


def test_comparators_are_there_for_comparison_only(built: Section) -> None:
    found = rows(built, "for comparison only")
    assert found[0] == ["hydra (max-margin polytope)", "raw", "2", NA, "0.24"]
    assert found[5] == ["som (self-organising map, then k-means)", "combat", "6", "0.31", "0.24"]
    assert "n/a where these are one" in table(built, "for comparison only").reading


def test_a_study_without_the_stage_is_told_of_the_group_column(tmp_path: Path) -> None:
    write_participants(tmp_path)
    (text,) = absent(section(tmp_path))
    assert "--group-column" in text
    assert "stage subtypes" in text


def test_a_table_without_verdict_is_as_none(folder: Path) -> None:
    change(folder, "subtypevalidity", {"method": "mixture"}, verdict=NA)
    assert "with a verdict in it" in absent(section(folder))[0]


def test_tables_of_this_stage_alone_are_made_from_features(folder: Path) -> None:
    inputs = read_group_inputs(folder)
    assert inputs.from_features
    (sites,) = [block for block in study_section(inputs).blocks if isinstance(block, Table)]
    assert [[cell.text for cell in row] for row in sites.rows] == [["Kyoto", "30"], ["Oslo", "30"]]


def test_the_section_follows_the_disorder_and_names_are_escaped(folder: Path) -> None:
    change(folder, "subtypemaps", {"feature": FEATURES[0]}, feature="<b>insula</b>")
    page = write_group_page(folder).read_text(encoding="utf-8")
    places = [page.index(f'id="{key}"') for key in ("disorder", "subtypes", "verdict")]
    assert places == sorted(places)
    assert "<b>insula" not in page
    assert "&lt;b&gt;insula" in page


def test_an_arm_that_is_not_known_stands_last(tmp_path: Path) -> None:
    own = section(write_subtype_tables(tmp_path, {"mine": DISCRETE, "raw": NONE}))
    assert [row[0] for row in rows(own, "The verdict of each arm")] == ["raw", "mine"]


def test_nulls_are_drawn_an_arm_a_line_with_their_p(built: Section) -> None:
    (figure,) = of_kind(built.blocks, Figure, "wider than in people of one kind")
    assert isinstance(figure, Figure)
    assert figure.reading.startswith(
        "covariate p = 0.010 (whole search) and p = 0.002 (directions); "
        "combat p = 0.010 (whole search) and p = 0.002 (directions)."
    )
    assert absent(built) == []


def test_the_panels_of_a_null_hold_its_draws_and_the_cases(folder: Path) -> None:
    table = read_group_inputs(folder).tables["subtypenulls"]
    panels = _panels(table, "combat", pd.Series({"k": 2.0}))
    assert [panel.name for panel in panels] == ["whole search", "directions"]
    for panel in panels:
        assert panel.observed == 0.05
        assert len(panel.draws) == 39
        assert (panel.draws.min(), panel.draws.max()) == pytest.approx((0.0105, 0.0295))
    assert _panels(table, "combat", pd.Series({"k": 3.0})) == []


def test_draws_that_an_earlier_version_did_not_keep_are_told(folder: Path) -> None:
    (folder / "group_subtypenulls.tsv").unlink()
    own = section(folder)
    assert of_kind(own.blocks, Figure, "wider than") == []
    (text,) = absent(own)
    assert "no draws of the arm covariate, combat" in text
    assert "run the stage subtypes again" in text
