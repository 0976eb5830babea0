"""What the section on the site classifier says, and what it warns of."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bids_harmonize.report.group import make_group_page, write_group_page
from bids_harmonize.report.group_blocks import Block, Figure, Paragraph, Section, Table
from bids_harmonize.report.group_classification import classification_section
from bids_harmonize.report.group_inputs import (
    GroupInputs,
    read_group_inputs,
    read_group_table,
)
from bids_harmonize.report.group_siteanswers import site_sentence
from bids_harmonize.report.group_sitewarnings import site_findings
from tests.report.group_fixture import write_group, write_participants
from tests.report.site_fixture import accuracy_rows, change, write_site_tables, write_tsv

ODD_SITES = ("Zürich <3T> & Co", '"Quote" site', "Kyoto")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> GroupInputs:
    output_dir = tmp_path_factory.mktemp("classification")
    write_participants(output_dir)
    write_group(output_dir)
    return read_group_inputs(output_dir)


@pytest.fixture(scope="module")
def section(inputs: GroupInputs) -> Section:
    return classification_section(inputs)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with the tables of the stage alone, for sites with odd names."""
    write_site_tables(tmp_path, sites=ODD_SITES)
    return tmp_path


def only(section: Section, kind: type[Block], title: str) -> Block:
    found = [block for block in section.blocks if isinstance(block, kind) and title in block.title]
    assert len(found) == 1
    return found[0]


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def leads(section: Section) -> str:
    return " ".join(
        block.text
        for block in section.blocks
        if isinstance(block, Paragraph) and block.kind == "lead"
    )


def said(section: Section) -> str:
    return " ".join(
        block.text
        for block in section.blocks
        if isinstance(block, Paragraph) and block.kind == "absent"
    )


def test_answers_come_first(section: Section) -> None:
    first, second, reason = section.blocks[:3]
    assert isinstance(first, Paragraph)
    assert first.text.startswith("The site can be told: before harmonization, a network named")
    assert "97 % (87 to 100)" in first.text
    assert "p = 0.001" in first.text
    assert isinstance(second, Paragraph)
    assert second.text.startswith("Decides inside the brain: yes. In this study the brain itself")
    assert isinstance(reason, Paragraph)
    assert (
        "brain ratio 1.25 (1.21 to 1.29). By the maps, the brain weighs 1.25 times" in reason.text
    )


@pytest.mark.parametrize(
    ("cells", "answer"),
    [
        ({"balanced_low": 0.2, "p_permutation": 0.3}, "no"),  # the interval holds chance
        ({"balanced_low": 0.4, "p_permutation": 0.02}, "yes"),  # the permutation test does not
    ],
)
def test_null_study_claims_no_site_effect(
    tables: Path, cells: dict[str, float], answer: str
) -> None:
    change(tables, "siteclassification", {"model": "network"}, balanced_accuracy=0.35, **cells)
    change(tables, "siteverdict", {"question": "site_visible"}, answer=answer)
    change(tables, "siteverdict", {"question": "decides_inside_brain"}, answer="cannot tell")
    page = write_group_page(tables).read_text(encoding="utf-8")
    assert "It was not shown that the site can be told" in page
    assert "there is no decision to find a place for" in page
    assert "The site can be told:" not in page


def test_answer_without_a_verdict_table_is_that_of_the_interval(tables: Path) -> None:
    (tables / "group_siteverdict.tsv").unlink()
    assert site_sentence(read_group_inputs(tables)).startswith("The site can be told")
    change(tables, "siteclassification", {"model": "network"}, balanced_low=0.33)
    assert site_sentence(read_group_inputs(tables)).startswith("It was not shown")
    change(tables, "siteclassification", {"model": "network"}, balanced_low="n/a", accuracy_low="")
    assert site_sentence(read_group_inputs(tables)).startswith("Whether the site can be told is")
    assert "no group_siteverdict.tsv" in said(classification_section(read_group_inputs(tables)))


def test_controls_stand_in_one_table_and_ablations_in_another(section: Section) -> None:
    rows = texts(only(section, Table, "Site accuracy and controls"))
    assert len(rows) == 8
    assert rows[3] == [
        "head outline only", "18", "86 % (76 to 89)", "86 % (76 to 89)", "33.3 %", "0.001",
        "0.021",
    ]  # fmt: skip
    assert rows[-1][0] == "network, shuffled site names"
    adds = texts(only(section, Table, "What hiding parts"))
    assert [row[0] for row in adds] == [
        "as it is, with both", "without hidden blocks", "without kept blocks", "without either",
    ]  # fmt: skip
    assert adds[-1][2] == "94 % (84 to 97)"


def test_shortcuts_that_beat_guessing_are_named(section: Section) -> None:
    (text,) = [
        block.text
        for block in section.blocks
        if isinstance(block, Paragraph) and "beat guessing" in block.text
    ]
    assert text.endswith(
        "these beat guessing: head outline only (86 %), intensity histogram only (78 %), head "
        "without brain (74 %) and voxel size, matrix and the like (52 %)."
    )


def test_confusion_counts_only_people_a_fold_left_out(section: Section) -> None:
    figure = only(section, Figure, "Which site")
    assert figure.reading.startswith("17 people ")  # 18 single-site people, one doubtful


def test_travelling_people_stand_in_a_table_of_their_own(section: Section) -> None:
    rows = texts(only(section, Table, "only asked about"))
    assert [row[:2] for row in rows] == [["Site A", "3"], ["Site B", "3"], ["Site C", "3"]]
    assert [row[3:] for row in rows] == [["0", "0"]] * 3


def test_gain_of_blocks_is_in_points_with_its_interval(section: Section) -> None:
    rows = texts(only(section, Table, "Gain over training"))
    assert rows[0] == ["with both", "0.125", "18", "81 % (73 to 86)", "29.0 (23.0 to 35.0)"]
    assert all(row[0] != "without either" for row in rows)


def test_maps_name_their_strongest_regions(section: Section) -> None:
    figure = only(section, Figure, "What speaks for Site A")
    assert figure.reading.startswith(
        "Strongest in: Right cerebellum (20 %), Left temporal pole (10 %) and Brain stem (6.7 %)."
    )


def test_share_inside_the_brain_stands_by_method(inputs: GroupInputs, section: Section) -> None:
    rows = texts(only(section, Table, "How much of the saliency"))
    assert rows[0] == ["Site A", "integrated gradients", "1.25 (1.25 to 1.25)", "60 %", "4"]
    assert len(rows) == 9
    tables = {key: table for key, table in inputs.tables.items() if key != "saliency"}
    older = classification_section(replace(inputs, tables=tables))
    rows = texts(only(older, Table, "How much of the saliency"))
    assert [row[0] for row in rows] == ["Site A", "Site B", "Site C"]
    assert rows[0][2:] == ["1.25 (1.25 to 1.25)", "60 %", "8"]


def test_failed_checks_stand_first_and_on_top(inputs: GroupInputs, section: Section) -> None:
    table = only(section, Table, "Checks of the maps")
    assert texts(table)[0][:3] == ["random weights", "failed", "Site B"]
    assert [row[1].tone for row in table.rows] == ["bad"] + ["good"] * 7
    assert "all sites" in [row[2] for row in texts(table)]
    failed = [row for row in site_findings(inputs) if "checks" in row.title]
    assert [row.text.partition(". ")[0] for row in failed] == ["Failed: random weights (Site B)"]


def test_site_names_are_escaped(tables: Path) -> None:
    page = write_group_page(tables).read_text(encoding="utf-8")
    assert "Zürich &lt;3T&gt; &amp; Co" in page
    assert "<3T>" not in page


@pytest.mark.parametrize("arm", ["raw", "features:raw"])
def test_feature_table_without_scans_gives_a_page(tmp_path: Path, arm: str) -> None:
    rows = accuracy_rows(n=30, chance=0.5, images=arm)[:2]
    rows = [{**row, "model": "logistic"} for row in rows]
    write_tsv(tmp_path / "group_siteclassification.tsv", rows)
    predictions = [
        {"participant_id": f"p{n}", "site": "NYU", "images": arm, "predicted": site, "fold": 1}
        for n, site in enumerate(("NYU", "NYU", "UCLA"))
    ]
    write_tsv(tmp_path / "group_sitepredictions.tsv", predictions)
    inputs = read_group_inputs(tmp_path)
    section = classification_section(inputs)
    assert leads(section).startswith("The site can be told: a model of the feature table named")
    assert texts(only(section, Table, "Site accuracy"))[0][0] == (
        "logistic regression on features (raw)"
    )
    assert only(section, Figure, "Which site").reading.startswith("3 people ")
    page = make_group_page(inputs)
    assert "It holds 3 participants of 1 site" in page
    assert "holds no images, so there are no maps" in page
    assert "run participant" not in page
    assert "T1-weighted images, organised" not in page


def test_harmonized_arm_of_a_feature_table_is_no_harmonized_image(tmp_path: Path) -> None:
    rows = accuracy_rows(n=30, chance=0.5, images="harmonized")[:1]
    write_tsv(tmp_path / "group_siteclassification.tsv", [{**rows[0], "model": "logistic"}])
    assert site_sentence(read_group_inputs(tmp_path)).startswith("The site can be told")
    write_tsv(
        tmp_path / "group_siteclassification.tsv", [{**rows[0], "images": "harmonizedSiteB"}]
    )
    assert site_sentence(read_group_inputs(tmp_path)) == ""


def test_new_scans_of_a_finished_model_are_said_without_a_claim(tmp_path: Path) -> None:
    rows = accuracy_rows(n=12, chance=0.5)[:1]
    write_tsv(tmp_path / "group_siteclassification.tsv", [{**rows[0], "split": "new"}])
    section = classification_section(read_group_inputs(tmp_path))
    assert leads(section).startswith("A finished model, trained elsewhere, named the site")
    assert "No row of group_siteclassification.tsv" in said(section)


@pytest.mark.parametrize("dropped", [(), ("balanced_low", "balanced_high", "p_permutation")])
def test_older_output_with_fewer_tables_says_what_is_absent(
    tables: Path, dropped: tuple[str, ...]
) -> None:
    for path in tables.glob("group_*.tsv"):
        if "siteclassification" not in path.name:
            path.unlink()
    path = tables / "group_siteclassification.tsv"
    table = pd.read_csv(path, sep="\t")
    columns = [*dropped, "effort", "calibration_error", "brier"]
    write_tsv(path, table.drop(columns=columns).to_dict("records"))
    inputs = read_group_inputs(tables)
    absent = said(classification_section(inputs))
    for name in ("siteverdict", "sitepredictions", "siterecall", "sitecalibration"):
        assert f"group_{name}.tsv" in absent
    for name in ("siteconfounding", "sitevisibility", "saliencyregions", "saliencychecks"):
        assert f"group_{name}.tsv" in absent
    assert "97 % (87 to 100)" in site_sentence(inputs)
    assert "Site accuracy and controls" in make_group_page(inputs)


@pytest.mark.parametrize(
    "name",
    [
        "siterecall", "sitecalibration", "sitevisibility", "siteconfounding", "siteverdict",
        "saliency", "saliencyregions", "saliencydeletion", "saliencychecks",
    ],
)  # fmt: skip
def test_table_of_unknown_columns_does_no_harm(inputs: GroupInputs, name: str) -> None:
    path = inputs.output_dir / "odd.tsv"
    write_tsv(path, [{"something": "else"}])
    frame = read_group_table(path)
    assert frame is not None
    odd = replace(inputs, tables={**inputs.tables, name: frame}, output_dir=Path("/nowhere"))
    assert classification_section(odd).blocks
    assert isinstance(site_findings(odd), list)
