"""Grey matter of the parcels: sums, densities, and the parcels of a user's own atlas."""

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.stages.tissue.parcels import (
    measure_parcels,
    parcel_columns,
    parcel_features,
    parcel_names,
)


@pytest.fixture(scope="module")
def brain_points():
    """Every voxel of the template's brain: its place (mm), and its share of grey matter."""
    template = load_template()
    voxels = np.argwhere(template.brain_mask)
    points = (voxels @ template.affine[:3, :3].T + template.affine[:3, 3]).T
    return points, template.gm[template.brain_mask]


def test_volumes_sum_to_all_grey_matter_and_densities_lie_between(brain_points):
    points, grey = brain_points
    values = measure_parcels(grey, points, voxel_ml=0.008, atlas=None)
    assert tuple(values) == parcel_features(None)
    volumes = [value for name, value in values.items() if name.endswith("_volume_ml")]
    assert len(volumes) == 300
    assert sum(volumes) == pytest.approx(float(grey.sum()) * 0.008, rel=1e-4)
    density = np.array([value for name, value in values.items() if name.endswith("_density")])
    assert ((density > 0.1) & (density < 0.95)).all()


def test_twice_the_size_is_twice_the_volume_and_the_same_density(brain_points):
    points, grey = brain_points
    small = measure_parcels(grey, points, voxel_ml=0.008, atlas=None)
    large = measure_parcels(grey, points, voxel_ml=0.016, atlas=None)
    name = "parcel_hippocampus_left_01"
    assert large[f"{name}_volume_ml"] == pytest.approx(2 * small[f"{name}_volume_ml"], rel=1e-3)
    assert large[f"{name}_density"] == small[f"{name}_density"]


def test_a_parcel_that_holds_no_voxel_has_no_density(brain_points):
    points, grey = brain_points
    left = points[0] < 0
    values = measure_parcels(grey[left], points[:, left], voxel_ml=0.008, atlas=None)
    assert values["parcel_hippocampus_right_01_volume_ml"] == 0
    assert np.isnan(values["parcel_hippocampus_right_01_density"])


def test_a_users_atlas_takes_their_place(tmp_path, brain_points):
    points, grey = brain_points
    template = load_template()
    labels = np.zeros(template.t1.shape, dtype=np.uint8)
    half = template.t1.shape[0] // 2
    labels[:half][template.brain_mask[:half]] = 1
    labels[half:][template.brain_mask[half:]] = 2
    path = tmp_path / "halves.nii.gz"
    nb.Nifti1Image(labels, template.affine).to_filename(path)
    (tmp_path / "halves.tsv").write_text("index\tname\n1\tLeft half (all)\n2\tright\n")
    assert parcel_names(str(path)) == {1: "Left_half_all", 2: "right"}
    values = measure_parcels(grey, points, voxel_ml=0.008, atlas=str(path))
    assert list(values) == [
        "parcel_Left_half_all_volume_ml",
        "parcel_right_volume_ml",
        "parcel_Left_half_all_density",
        "parcel_right_density",
    ]
    both = values["parcel_Left_half_all_volume_ml"] + values["parcel_right_volume_ml"]
    assert both == pytest.approx(float(grey.sum()) * 0.008, rel=1e-3)
    described = parcel_columns(str(path), voxel_size_mm=2.0)
    assert list(described) == list(values)
    assert "halves.nii.gz, sha256" in described["parcel_right_density"]["Description"]
