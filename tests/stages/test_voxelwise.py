"""The voxel-wise map of the stage ``disorder``: what is found, written, reused and refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import template_output
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages.case_control import voxelwise
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.own_table import feature_context
from bids_harmonize.stages.case_control.voxelmaps import write_voxel_maps
from bids_harmonize.stages.tissue import density as densities
from bids_harmonize.stages.tissue.density import density_grid, density_mask
from tests.stages.test_disorder_images import make_context, write_own_table

ARMS = ("raw", "covariate", "harmonized")
CENTRE_MM, RADIUS_MM = np.array([[40.0], [8.0], [0.0]]), 18.0
SITE_EFFECT = 0.1


@pytest.fixture(scope="module", autouse=True)
def _small():
    """A ball of voxels around the right insula, and few permutations."""
    distance = np.linalg.norm(_world() - CENTRE_MM, axis=0)
    ball = density_mask() & (distance < RADIUS_MM).reshape(density_grid().shape)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for room in ("case_control.densities", "tissue.density"):
            monkeypatch.setattr(f"bids_harmonize.stages.{room}.density_mask", lambda: ball)
        monkeypatch.setattr(voxelwise, "N_PERMUTATIONS", {"quick": 20, "full": 40})
        monkeypatch.setattr(voxelwise, "_BATCH", 20)
        yield


def compare(context):
    studies = feature_context(context, "disorder").studies
    return write_voxel_maps(context, [make_cohort(one, context.settings) for one in studies])


def _world():
    points = np.argwhere(np.ones(density_grid().shape, dtype=bool)).T
    affine = density_grid().affine
    return affine[:3, :3] @ points + affine[:3, 3:]


def write_densities(folder, *, loss=0.05):
    """Cases lose density within 9 mm of the centre; site B is denser; harmonized is not."""
    ball = densities.density_mask()
    near = (np.linalg.norm(_world() - CENTRE_MM, axis=0) < 9).reshape(ball.shape)[ball]
    table = read_tsv(folder / "group_features.tsv")
    people = read_tsv(folder / "participants.tsv").set_index("participant_id")
    out = folder / "work" / "features"
    out.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for row in table.itertuples():
        density = 0.6 + 0.03 * rng.normal() + 0.02 * rng.normal(size=near.size)
        density -= loss * near * (people.loc[row.participant_id, "diagnosis"] != "HC")
        if row.arm == "raw":
            density += SITE_EFFECT * (row.site == sorted(set(table["site"]))[1])
        stem = f"{row.participant_id}_{row.arm}"
        np.save(out / f"{stem}.npy", density.astype(np.float16))
        values = {"gm_volume_ml": float(row.gm_volume_ml)}
        (out / f"{stem}.json").write_text(json.dumps({"values": values}))
    return near


def make_study(folder):
    write_own_table(folder)
    table = read_tsv(folder / "group_features.tsv")
    name = table["participant_id"] + "_desc-preproc_T1w.nii.gz"
    table["filename"] = table["participant_id"] + "/anat/" + name
    table.to_csv(folder / "group_features.tsv", sep="\t", index=False, na_rep="n/a")
    return write_densities(folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voxels")
    near = make_study(folder)
    return folder, near, compare(make_context(folder))


def read_map(folder, key):
    volume, affine = read_image(template_output(folder, key))
    np.testing.assert_allclose(affine, density_grid().affine)
    return volume


def test_the_planted_loss_is_found_in_every_arm_and_little_else(done):
    folder, near, result = done
    ball = densities.density_mask()
    for arm in ARMS:
        d = read_map(folder, f"group_effect_{arm}")
        p = read_map(folder, f"group_effect_p_{arm}")
        assert (d[~ball] == 0).all()
        assert (p[~ball] == 1).all()
        assert (p[ball][near] < 0.05).all()
        assert d[ball][near].mean() < -0.8
        assert (p[ball][~near] < 0.05).mean() < 0.05
    assert result.warnings == ()
    assert any(
        note.startswith("covariate: ") and "voxels of grey" in note for note in result.notes
    )


def test_the_site_weighs_on_d_where_the_model_has_no_word_of_it(done):
    folder, near, _ = done
    inside = densities.density_mask()
    mean = {arm: read_map(folder, f"group_effect_{arm}")[inside][near].mean() for arm in ARMS}
    assert mean["raw"] > 0.9 * mean["covariate"]  # nearer to 0: more is left to chance


def test_the_tables_say_what_survives_and_where(done):
    folder, near, _ = done
    table = pd.read_csv(folder / "group_voxelwise.tsv", sep="\t").set_index("arm")
    assert list(table.index) == list(ARMS)
    assert (table["n_permutations"] == 20).all()
    assert (table["n_voxels"] == densities.density_mask().sum()).all()
    assert (table["p_least"] == 1 / 21).all()
    assert table.loc["covariate", "n_called"] == pytest.approx(near.sum(), abs=0.3 * near.sum())
    clusters = pd.read_csv(folder / "group_voxelclusters.tsv", sep="\t")
    first = clusters[clusters["arm"] == "harmonized"].iloc[0]
    assert np.linalg.norm(first[["x_mm", "y_mm", "z_mm"]] - CENTRE_MM[:, 0]) < 9.0
    assert first["d"] < 0
    assert "right" in first["region"]
    described = json.loads((folder / "group_voxelwise.json").read_text())
    assert list(described) == ["arm", *table.columns]
    assert described["n_permutations"]["Effort"] == "quick"


def test_permutations_are_kept_and_gone_on_with(done, monkeypatch):
    folder, _, _ = done
    counted = []
    real = voxelwise.permuted_maxima
    monkeypatch.setattr(
        voxelwise, "permuted_maxima", lambda *args: counted.append(1) or real(*args)
    )
    before = template_output(folder, "group_effect_p_raw").read_bytes()
    compare(make_context(folder))
    assert not counted
    assert template_output(folder, "group_effect_p_raw").read_bytes() == before
    compare(make_context(folder, effort="full"))
    assert len(counted) == 3  # one batch more in every arm
    compare(make_context(folder, covariates=["age"]))
    assert len(counted) == 6  # another model


def test_a_density_of_another_image_is_refused_and_old_maps_go(done, tmp_path):
    shutil.copytree(done[0], tmp_path, dirs_exist_ok=True)
    assert template_output(tmp_path, "group_effect_raw").is_file()
    one = next((tmp_path / "work" / "features").glob("*_harmonized.json"))
    one.write_text(json.dumps({"values": {"gm_volume_ml": 1.0}}))
    result = compare(make_context(tmp_path))
    (warning,) = result.warnings
    assert "1 of 120 scans of the table harmonized have no density" in warning
    assert one.stem in warning
    assert not list(tmp_path.glob("tpl-*/anat/*"))
    assert not (tmp_path / "group_voxelwise.tsv").exists()
    assert not list((tmp_path / "work" / "disorder").glob("densities-*"))
