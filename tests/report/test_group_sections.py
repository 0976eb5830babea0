"""What the sections of the group page say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import site_output
from bids_harmonize.report.group_blocks import Block, Figure, Paragraph, Section, Table
from bids_harmonize.report.group_harmonization import harmonization_section
from bids_harmonize.report.group_inputs import (
    GroupInputs,
    read_curves,
    read_group_inputs,
    read_group_table,
)
from bids_harmonize.report.group_methods_table import best_training_free, pooled_brain_psnr
from bids_harmonize.report.group_pictures import mask_centre
from bids_harmonize.report.group_proof import probe_section, verdict_section
from bids_harmonize.report.group_quality import quality_section
from bids_harmonize.report.group_sitemaps import effect_blocks
from bids_harmonize.report.group_study import study_section
from bids_harmonize.report.group_travellers import picture_blocks
from tests.report.group_fixture import write_group, write_participants
from tests.report.site_fixture import write_tsv


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> GroupInputs:
    output_dir = tmp_path_factory.mktemp("sections")
    write_participants(output_dir)
    write_group(output_dir)
    return read_group_inputs(output_dir)


@pytest.fixture(scope="module")
def harmonization(inputs: GroupInputs) -> Section:
    return harmonization_section(inputs)


def only(section: Section, kind: type[Block], title: str) -> Block:
    found = [block for block in section.blocks if isinstance(block, kind) and title in block.title]
    assert len(found) == 1
    return found[0]


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def with_table(inputs: GroupInputs, key: str, rows: list[dict[str, object]]) -> GroupInputs:
    frame = read_group_table(_written(inputs.output_dir / f"changed_{key}.tsv", rows))
    assert frame is not None
    return replace(inputs, tables={**inputs.tables, key: frame})


def _written(path: Path, rows: list[dict[str, object]]) -> Path:
    write_tsv(path, rows)
    return path


def test_site_table_counts_people_by_role(inputs: GroupInputs) -> None:
    table = only(study_section(inputs), Table, "Sites")
    rows = {row[0]: row[1:] for row in texts(table)}
    assert rows["Site A"] == ["source", "9", "5", "5", "3", "9", "1"]  # sub-02's mask is doubtful
    assert rows["Site B"] == ["reference", "9", "6", "6", "3", "9", "0"]
    assert rows["Site D"][0].startswith("left out: participants to train on: 1,")


def test_outlier_is_found_and_a_common_value_is_not(inputs: GroupInputs) -> None:
    table = only(quality_section(inputs), Table, "apart from their own site")
    assert [row[:3] for row in texts(table)] == [["sub-03", "Site A", "1"]]
    value = inputs.scans.set_index("stem").at["sub-03", "cnr"]
    assert texts(table)[0][3].startswith(f"CNR {value:.2f} (3.")
    assert "1,000" in table.reading
    figure = only(quality_section(inputs), Figure, "Chief quality measures")
    assert figure.source.startswith("data:image/svg+xml")


def test_a_study_without_outliers_says_so(inputs: GroupInputs) -> None:
    usual = inputs.scans[inputs.scans["stem"] != "sub-03"]
    section = quality_section(replace(inputs, scans=usual))
    (text,) = [
        block.text
        for block in section.blocks
        if isinstance(block, Paragraph) and block.text.startswith("No scan lies further")
    ]
    assert "fewer than 8 scans" in text


def test_quality_medians_are_those_of_the_scans(inputs: GroupInputs) -> None:
    table = only(quality_section(inputs), Table, "Quality by site")
    rows = {row[0]: row[2:] for row in texts(table)}
    own = inputs.scans.loc[inputs.scans["site"] == "Site C", "snr"]
    assert float(rows["SNR"][2].split(" ")[0]) == pytest.approx(own.median(), abs=0.05)


def test_best_method_without_training_is_named(
    inputs: GroupInputs, harmonization: Section
) -> None:
    scores = pooled_brain_psnr(inputs)
    assert best_training_free(scores) == "n4_histogram"
    del scores["n4_histogram"]
    assert best_training_free(scores) in ("nyul", "histogram")
    assert best_training_free({"identity": scores["identity"]}) == "identity"
    assert best_training_free({"ceiling": scores["ceiling"]}) is None
    table = only(harmonization, Table, "Site A to Site B: all methods, in the brain")
    assert "N4 + histogram matching (best without training)" in [row[0] for row in texts(table)]


def test_methods_stand_in_reading_order_with_controls_last(inputs: GroupInputs) -> None:
    table = only(
        harmonization_section(inputs), Table, "Site C to Site B: all methods, in the brain"
    )
    names = [row[0] for row in texts(table)]
    assert names[0] == "no harmonization"
    assert names[-3:] == ["CycleGAN", "blur (control)", "rescan at the target (ceiling)"]


def test_each_direction_has_its_picture_and_people(harmonization: Section) -> None:
    for source in ("Site A", "Site C"):
        picture = only(harmonization, Figure, f"{source} to Site B: sub-")
        assert "in the middle of the brain PSNR" in picture.reading
        assert only(harmonization, Figure, f"{source} to Site B: every person")
    assert only(harmonization, Figure, "Training of CycleGAN")


def test_missing_harmonized_images_are_said_not_drawn(inputs: GroupInputs, tmp_path: Path) -> None:
    assert inputs.study is not None
    elsewhere = replace(
        inputs, output_dir=tmp_path, study=replace(inputs.study, output_dir=tmp_path)
    )
    said = [block.text for block in picture_blocks(elsewhere) if isinstance(block, Paragraph)]
    assert said == [f"No harmonized image of {site} was found." for site in ("Site A", "Site C")]


def test_what_is_changed_at_a_site_is_drawn_over_its_mean_image(
    inputs: GroupInputs, tmp_path: Path
) -> None:
    assert inputs.study is not None
    elsewhere = replace(inputs, output_dir=tmp_path)
    (absent,) = effect_blocks(elsewhere)
    assert isinstance(absent, Paragraph)
    assert "no map of the site effect" in absent.text
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    image, change = np.zeros((20, 24, 20)), np.zeros((20, 24, 20))
    image[4:16, 4:20, 4:16], change[8:10, 8:10, 8:10] = 0.8, -0.3
    maps = {"site_mean": image, "site_effect": change, "structure_change": change / 10}
    for key, volume in maps.items():
        path = site_output(tmp_path, "Site A", key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, volume.astype(np.float32), affine)
    figure, edges = effect_blocks(elsewhere)
    assert isinstance(figure, Figure)
    assert isinstance(edges, Figure)
    assert "Where edges change at Site A" in edges.title
    assert "at most 0.03" in edges.alt
    assert "What is changed in scans of Site A" in figure.title
    assert "at most 0.3" in figure.alt
    assert figure.source.startswith("data:image/png;base64,")


def test_probe_seeds_are_pooled_with_the_widest_interval(inputs: GroupInputs) -> None:
    table = only(probe_section(inputs), Table, "All probes")
    row = next(row for row in texts(table) if row[:2] == ["CycleGAN", "trained again"])
    assert row[4] == "2"
    assert row[5] == "71.5 % (61 to 82)"
    assert row[7] == "98 %"
    assert row[9] == "no sign"


def test_probe_without_a_number_says_so(inputs: GroupInputs) -> None:
    row = {"method": "cyclegan", "probe": "reseeded", "sites": "all", "leak_suspected": None}
    section = probe_section(with_table(inputs, "siteprobe", [row]))
    cells = texts(only(section, Table, "All probes"))[0]
    assert cells[5] == "n/a"
    assert not [block for block in section.blocks if isinstance(block, Figure)]


def test_verdicts_stand_worst_first(inputs: GroupInputs) -> None:
    row = {"method": "cyclegan", "value": 1.23456, "threshold": "above 0", "source": "x"}
    rows: list[dict[str, object]] = [
        {**row, "question": answer, "answer": answer} for answer in ("yes", "cannot tell", "no")
    ]
    table = only(verdict_section(with_table(inputs, "verdict", rows)), Table, "Questions")
    assert [cells[2] for cells in texts(table)] == ["no", "cannot tell", "yes"]
    assert texts(table)[0][3:5] == ["1.23", "above 0"]
    assert table.rows[0][2].tone == "bad"


def test_site_named_by_a_number_stays_text(tmp_path: Path) -> None:
    path = _written(tmp_path / "t.tsv", [{"source_site": "01", "mean": "1.5", "method": "nyul"}])
    frame = read_group_table(path)
    assert frame is not None
    assert frame.loc[0, "source_site"] == "01"
    assert frame.loc[0, "mean"] == 1.5
    assert np.isnan(frame.loc[0, "p_vs_best_baseline"])


def test_absent_and_empty_tables_are_none(tmp_path: Path) -> None:
    assert read_group_table(tmp_path / "absent.tsv") is None
    path = tmp_path / "empty.tsv"
    pd.DataFrame({"method": []}).to_csv(path, sep="\t", index=False)
    assert read_group_table(path) is None
    assert read_curves(path) is None


def test_centre_of_a_mask_is_its_centre_of_mass() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[2:5, 6:9, 1] = True
    assert mask_centre(mask) == (3, 7, 1)
    assert mask_centre(np.zeros((8, 6, 4), dtype=bool)) == (4, 3, 2)
