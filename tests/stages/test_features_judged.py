"""The stage ``features`` on images of other tools: measured, left alone, lacking, unreadable."""

import json

import numpy as np
import pytest

from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages import run_stage
from bids_harmonize.stages.tissue.scan import feature_names
from tests.stages.tissue_study import (
    VISITS,
    found_tissue,
    image_of_site,
    make_tissue_context,
    shorten,
    write_tissue_study,
)

pytestmark = pytest.mark.slow  # segments scans: 40 s

ARM = "judge:other"
SOURCE_STEMS = [f"{person}_ses-{site}" for person, site in VISITS if site == "B"]


@pytest.fixture(scope="module", autouse=True)
def _short():
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorten(monkeypatch)
        found_tissue.cache_clear()
        yield
        found_tissue.cache_clear()


def write_tool(folder, *, lacking=()):
    """Scans of site B in another unit and on another grid (two voxels of air are cut off)."""
    for person, site in VISITS:
        stem = f"{person}_ses-{site}"
        if site == "A" or stem in lacking:
            continue
        volume, affine = image_of_site(person, site)
        moved = affine.copy()
        moved[:3, 3] += affine[:3, :3] @ np.array([1, 1, 1])
        path = folder / person / f"ses-{site}" / "anat" / f"{stem}_desc-made_T1w.nii.gz"
        write_image(path, 3 * volume[1:-1, 1:-1, 1:], moved)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    context = make_tissue_context(write_tissue_study(folder / "out", tissue=True), folder / "work")
    run_stage("harmonize", context)
    return folder


def measure(folder, tool):
    study = write_tissue_study(folder / "out", tissue=True)
    context = make_tissue_context(study, folder / "work", judge={"other": str(tool)})
    result = run_stage("features", context)
    return context, result, read_tsv(context.study.output_dir / "group_features.tsv")


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    return measure(study, write_tool(tmp_path_factory.mktemp("tool")))


def test_every_scan_has_a_row_in_the_tools_arm(done):
    context, result, table = done
    assert list(table["arm"]) == ["raw", "harmonized", ARM] * 6
    assert table.loc[table["arm"] == ARM, "fit"].isna().all()
    described = json.loads((context.study.output_dir / "group_features.json").read_text())
    assert "scans of A that have none as they are" in described["arm"]["Levels"][ARM]
    assert result.failures == ()
    assert any(note.startswith(f"6 scans of {ARM} have tissue volumes") for note in result.notes)


def test_a_tool_that_changes_the_unit_and_the_grid_alone_has_the_volumes_of_identity(done):
    table = done[2].set_index(["filename", "arm"])[list(feature_names())].astype(float)
    own, other = (table.xs(arm, level="arm") for arm in ("harmonized", ARM))
    assert own["gm_volume_ml"].min() > 100
    np.testing.assert_allclose(other, own, rtol=0.01, atol=0.1)


def test_a_tool_that_lacks_a_scan_is_not_judged_by_tissue_and_that_is_said(study, done, tmp_path):
    tool = write_tool(tmp_path / "tool", lacking=SOURCE_STEMS[:1])
    _, result, table = measure(study, tool)
    assert set(table["arm"]) == {"raw", "harmonized"}
    assert len(table) == 12
    assert any(
        f"the tissue of {ARM} is not judged: no image of {SOURCE_STEMS[0]}" in warning
        for warning in result.warnings
    )
    assert result.failures == ()
    # our own were measured before (by ``done``), and nothing of the tool is measured for nothing
    assert any("reused: 12 of 12 measurements" in note for note in result.notes)


def test_an_image_that_cannot_be_read_takes_the_tools_arm_and_nothing_else(study, tmp_path):
    tool = write_tool(tmp_path / "tool")
    broken = next(tool.rglob(f"{SOURCE_STEMS[0]}*.nii.gz"))
    broken.write_bytes(b"no image")
    context, result, table = measure(study, tool)
    assert list(table["arm"]) == ["raw", "harmonized"] * 6
    assert len(result.failures) == 1
    assert result.failures[0].startswith(f"{SOURCE_STEMS[0]}: no features of {ARM}")
    crashes = list(context.study.output_dir.glob("sub-*/log/first/features-crash-*.txt"))
    assert [path.name for path in crashes] == [f"features-crash-{SOURCE_STEMS[0]}.txt"]
