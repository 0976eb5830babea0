"""What the page says and draws of the voxel-wise comparison."""

import json

import numpy as np
import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import template_output
from bids_harmonize.report.group_blocks import Figure, Fold, Paragraph, Table
from bids_harmonize.report.group_disordermethods import disorder_methods
from bids_harmonize.report.group_disordervoxels import voxel_blocks
from bids_harmonize.report.group_inputs import read_group_inputs
from tests.report.disorder_fixture import write_disorder_tables
from tests.report.site_fixture import write_tsv

PEAK = {"raw": -0.6, "harmonized": -1.14}
N_CALLED = {"raw": 0, "harmonized": 64}


def write_maps(folder):
    """Two arms, one of which survives in a cube of 4 x 4 x 4 voxels."""
    template = load_template(4.0)
    cube = (slice(30, 34), slice(30, 34), slice(22, 26))
    for arm, d in PEAK.items():
        effect = np.where(template.gm > 0.2, 0.1, 0.0)
        effect[cube] = d
        p = np.ones(effect.shape)
        p[cube] = 0.004 if N_CALLED[arm] else 0.4
        for key, volume in (("", effect), ("p_", p)):
            path = template_output(folder, f"group_effect_{key}{arm}")
            write_image(path, volume.astype(np.float32), template.affine)
    write_tsv(
        folder / "group_voxelwise.tsv",
        [
            {"arm": arm, "n_voxels": 33000, "n_called": N_CALLED[arm],
             "volume_ml": N_CALLED[arm] * 0.064, "d_least": PEAK[arm], "d_most": 0.1,
             "p_least": 0.004 if N_CALLED[arm] else 0.4, "n_permutations": 200, "n_cases": 60,
             "n_controls": 60}
            for arm in PEAK
        ],
    )  # fmt: skip
    write_tsv(
        folder / "group_voxelclusters.tsv",
        [
            {"arm": "harmonized", "n_voxels": 64, "volume_ml": 4.096, "d": -1.14, "p": 0.004,
             "x_mm": 26.0, "y_mm": -6.0, "z_mm": 20.0, "region": "right <frontal> lobe"}
        ],
    )  # fmt: skip
    described = {"n_permutations": {"Effort": "quick"}}
    (folder / "group_voxelwise.json").write_text(json.dumps(described))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_maps(write_disorder_tables(tmp_path_factory.mktemp("page")))


@pytest.fixture(scope="module")
def blocks(folder):
    return voxel_blocks(read_group_inputs(folder))


def test_it_is_said_in_each_arm_what_survives(blocks):
    text = blocks[0].text
    assert "Arm raw: no voxel of 33000 survives the correction (least p 0.400)" in text
    assert "Arm harmonized: 64 voxels of 33000 in grey matter (4.1 mL) differ" in text
    assert "corrected p of 0.05 (least p 0.004)" in text
    assert "200 permutations of people within their sites, few because of --effort quick" in text


def test_all_arms_are_drawn_on_one_scale_the_best_one_unfolded(blocks):
    through, slices = (one for one in blocks if isinstance(one, Figure))
    assert through.source.startswith("data:image/png")
    assert slices.title.endswith("arm harmonized")
    (fold,) = (one for one in blocks if isinstance(one, Fold))
    assert [one.title[-3:] for one in fold.blocks] == ["raw"]
    assert fold.blocks[0].source != slices.source


def test_places_are_listed(blocks):
    (table,) = (one for one in blocks if isinstance(one, Table))
    assert [cell.text for cell in table.rows[0]] == [
        *("harmonized", "4.1", "\N{MINUS SIGN}1.14", "0.004"),
        *("26, \N{MINUS SIGN}6, 20", "right <frontal> lobe"),
    ]


def test_the_methods_say_how_and_cite_it(folder):
    sentences, cited = disorder_methods(read_group_inputs(folder))
    assert "permutation of residuals (Freedman and Lane 1983) within sites" in " ".join(sentences)
    assert {"tfce", "freedman_lane"} <= set(cited)


def test_tables_of_another_tool_have_no_maps_and_nothing_is_said(tmp_path):
    assert voxel_blocks(read_group_inputs(write_disorder_tables(tmp_path))) == []


def test_a_study_of_images_without_maps_says_why(tmp_path):
    write_disorder_tables(tmp_path)
    write_tsv(tmp_path / "group_features.tsv", [{"participant_id": "sub-01", "arm": "raw"}])
    (block,) = voxel_blocks(read_group_inputs(tmp_path))
    assert isinstance(block, Paragraph)
    assert block.kind == "absent"
    assert "with one work directory" in block.text


def test_maps_that_are_gone_are_told_of(folder, tmp_path):
    write_maps(write_disorder_tables(tmp_path))
    template_output(tmp_path, "group_effect_raw").unlink()
    found = voxel_blocks(read_group_inputs(tmp_path))
    assert "The maps of the arm raw (tpl-*/anat) are not there" in found[1].text
