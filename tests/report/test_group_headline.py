"""Bad news stands first on the group page."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bids_harmonize.report.group import make_group_page
from bids_harmonize.report.group_blocks import Finding, Findings, Paragraph, Table
from bids_harmonize.report.group_harmonization import harmonization_section
from bids_harmonize.report.group_headline import headline_section
from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.report.group_reference import nobody_travels
from tests.report.group_fixture import REFERENCE, write_group, write_participants
from tests.report.site_fixture import write_tsv


@pytest.fixture(scope="module")
def study_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("headline")
    write_participants(output_dir)
    write_group(output_dir)
    return output_dir


@pytest.fixture
def output_dir(study_files: Path, tmp_path: Path) -> Path:
    """A copy of the tables and models that a test may change, with the images as links."""
    for path in study_files.iterdir():
        target = tmp_path / path.name
        if path.suffix == ".tsv":
            target.write_bytes(path.read_bytes())
        elif path.name == "models":
            (target / "cyclegan_to-SiteB").mkdir(parents=True)
            (target / "cyclegan_to-SiteB" / "model.json").write_text(
                json.dumps({"reference_site": REFERENCE})
            )
        else:
            target.symlink_to(path)
    return tmp_path


def findings(output_dir: Path) -> tuple[Finding, ...]:
    blocks = headline_section(read_group_inputs(output_dir)).blocks
    return next(block.rows for block in blocks if isinstance(block, Findings))


def change(path: Path, **cells: object) -> None:
    """Set the first row's cells."""
    table = pd.read_csv(path, sep="\t").astype(object)
    for column, value in cells.items():
        table.loc[0, column] = value
    write_tsv(path, table.to_dict("records"))


def test_sites_left_out_and_doubtful_masks_are_named(output_dir: Path) -> None:
    rows = findings(output_dir)
    assert [row.title for row in rows if "Site D" in row.title] == ["Left out of training: Site D"]
    doubtful = next(row for row in rows if "doubtful" in row.title)
    assert doubtful.title.startswith("1 scan ")
    assert "sub-02" in doubtful.text


def test_suspected_leak_comes_first(output_dir: Path) -> None:
    assert not any("Leak" in row.title for row in findings(output_dir))
    change(output_dir / "group_siteprobe.tsv", leak_suspected="true", probe="reseeded")
    first = findings(output_dir)[0]
    assert first.level == "bad"
    assert first.title == "Leak suspected"
    assert "no harmonization (reseeded)" in first.text


def test_control_over_eighty_per_cent_is_a_caution_and_below_is_not(output_dir: Path) -> None:
    cautions = [row for row in findings(output_dir) if "enough" in row.title]
    assert [row.title for row in cautions] == ["Head outline only: enough to name the site"]
    assert cautions[0].level == "caution"
    assert "86 %" in cautions[0].text


def test_shuffled_control_above_chance_is_a_problem(output_dir: Path) -> None:
    path = output_dir / "group_siteclassification.tsv"
    table = pd.read_csv(path, sep="\t")
    table.loc[table["model"] == "shuffled", "balanced_low"] = 0.5
    write_tsv(path, table.to_dict("records"))
    assert not [row for row in findings(output_dir) if row.level == "bad"]  # p = 0.4
    table.loc[table["model"] == "shuffled", "p_permutation"] = 0.001
    write_tsv(path, table.to_dict("records"))
    problems = [row.title for row in findings(output_dir) if row.level == "bad"]
    assert problems == ["The shuffled control is above chance"]


def test_no_of_the_chosen_method_is_a_problem_and_of_others_is_not(output_dir: Path) -> None:
    row = {"question": "Is it sharp?", "value": 0.8, "threshold": "0.9 to 1.1", "source": "x"}
    write_tsv(
        output_dir / "group_verdict.tsv",
        [
            {"method": "cyclegan", "answer": "no", **row},
            {"method": "localhistogram", "answer": "no", **row},
            {"method": "cyclegan", "answer": "yes", **row},
        ],
    )
    problems = [row for row in findings(output_dir) if row.level == "bad"]
    assert [problem.title for problem in problems] == ["Is it sharp? No"]
    assert "0.9 to 1.1" in problems[0].text


def test_harmonizer_that_fell_back_is_a_problem(output_dir: Path) -> None:
    model = {"reference_site": REFERENCE, "learnt": {"fell_back": ["Site A"]}}
    path = output_dir / "models" / "cyclegan_to-SiteB" / "model.json"
    path.write_text(json.dumps(model))
    problem = findings(output_dir)[0]
    assert problem.title == "CycleGAN did not train for Site A"
    assert "N4 + histogram matching" in problem.text


def test_harmonizer_below_the_best_baseline_is_a_problem(output_dir: Path) -> None:
    path = output_dir / "group_methods.tsv"
    table = pd.read_csv(path, sep="\t")
    table.loc[table["method"] == "cyclegan", "mean"] = 20.0
    write_tsv(path, table.to_dict("records"))
    problem = findings(output_dir)[0]
    assert problem.title == "CycleGAN is not better than N4 + histogram matching"
    assert "20.00 dB" in problem.text


def test_harmonizing_without_travelling_subjects_is_a_caution(output_dir: Path) -> None:
    (output_dir / "group_methods.tsv").unlink()
    titles = [row.title for row in findings(output_dir) if row.level == "caution"]
    assert "No proof on travelling subjects" in titles


def test_where_nobody_travels_the_page_says_what_cannot_be_known(output_dir: Path) -> None:
    (output_dir / "group_methods.tsv").unlink()
    inputs = read_group_inputs(output_dir)
    assert inputs.study is not None
    assert nobody_travels(inputs) == ""  # people travel: only the stage has not run
    alone = replace(inputs, study=replace(inputs.study, travelling=frozenset()))
    words = nobody_travels(alone)
    assert "Nobody was scanned at two trained sites" in words
    assert "cannot be known from this study" in words
    blocks = headline_section(alone).blocks
    rows = next(block.rows for block in blocks if isinstance(block, Findings))
    assert [row.text for row in rows if "No proof" in row.title] == [words]
    first = harmonization_section(alone).blocks[0]
    assert isinstance(first, Paragraph)
    assert first.text == words


def test_summary_names_result_baseline_and_ceiling(output_dir: Path) -> None:
    lead = headline_section(read_group_inputs(output_dir)).blocks[0]
    assert isinstance(lead, Paragraph)
    table = pd.read_csv(output_dir / "group_methods.tsv", sep="\t")
    own = table[
        (table["source_site"] == "all") & (table["mask"] == "brain") & (table["metric"] == "psnr")
    ].set_index("method")["mean"]
    for method in ("cyclegan", "identity", "n4_histogram", "ceiling"):
        assert f"{own[method]:.1f}" in lead.text
    assert "97 % (87 to 100)" in lead.text


def test_settings_are_those_of_the_last_group_run(output_dir: Path) -> None:
    logs = output_dir / "logs"
    text = (logs / "20260101T120000.toml").read_text()
    logs.unlink()  # the link to the shared fixture
    logs.mkdir()
    quick = text.replace('effort = "full"', 'effort = "quick"')
    (logs / "20260102T000000_b.toml").write_text(f"# bids-harmonize 1, run b: group\n{quick}")
    (logs / "20260103T000000_c.toml").write_text(f"# bids-harmonize 1, run c: participant\n{text}")
    inputs = read_group_inputs(output_dir)
    assert inputs.run is not None
    assert inputs.run.run_id == "20260102T000000_b"
    assert "Quick run" in [row.title for row in findings(output_dir)]


def test_warnings_of_the_log_are_shown_once_and_infos_are_not(output_dir: Path) -> None:
    logs = output_dir / "logs"
    text = (logs / "20260101T120000.toml").read_text()
    logs.unlink()
    logs.mkdir()
    (logs / "a.toml").write_text(text)
    line = "2026-01-01 12:00:00 WARNING harmonize: <odd>\n"
    (logs / "a.log").write_text(f"{line}2026-01-01 12:00:00 INFO    fine\n{line}")
    blocks = headline_section(read_group_inputs(output_dir)).blocks
    table = next(block for block in blocks if isinstance(block, Table))
    assert [[cell.text for cell in row] for row in table.rows] == [["warning", "harmonize: <odd>"]]


def name_groups(output_dir: Path, *, controls: int) -> None:
    """A group column in which so many of each site's six are controls, and a run that used it."""
    singles = range(1, 19)
    rows = [
        {"participant_id": f"sub-{n:02d}", "dx": "HC" if (n - 1) % 6 < controls else "SZ"}
        for n in singles
    ]
    write_tsv(output_dir / "participants.tsv", rows)
    logs = output_dir / "logs"
    text = (logs / "20260101T120000.toml").read_text()
    logs.unlink()  # the link to the shared fixture
    logs.mkdir()
    text = text.replace("[group]", '[group]\ngroup_column = "dx"')
    text = text.replace("min_per_site = 5", "min_per_site = 4")
    (logs / "20260102T000000_b.toml").write_text(f"# bids-harmonize 1, run b: group\n{text}")


def page_text(output_dir: Path) -> str:
    return make_group_page(read_group_inputs(output_dir))


def test_the_page_says_that_models_were_fitted_on_controls(output_dir: Path) -> None:
    name_groups(output_dir, controls=5)
    assert not any("patients" in row.title for row in findings(output_dir))
    text = page_text(output_dir)
    assert "Column dx: controls are 15 HC; others: 3 SZ, 4 n/a." in text
    assert "controls alone (dx = HC): 14 of 17 eligible participants." in text
    assert "Models were fitted on controls alone (dx = HC), 14 participants in all." in text


def test_models_fitted_on_patients_too_are_a_problem(output_dir: Path) -> None:
    name_groups(output_dir, controls=4)
    first = next(row for row in findings(output_dir) if "patients too" in row.title)
    assert first.level == "bad"
    assert "4 controls a site are needed (--min-per-site) and Site A has 3" in first.text
    assert "Models were fitted on controls and others together" in page_text(output_dir)
