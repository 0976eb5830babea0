"""A user's label image in place of the coarse regions of the template."""

import hashlib
import json

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.atlases.templates import load_template
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.classification.atlas import atlas_words, load_atlas, study_regions
from bids_harmonize.stages.classification.regions import top_regions
from bids_harmonize.stages.classification.saliency_tables import _region_columns

MM = 6.0
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-70.3, -100.3, -60.3]  # no voxel lies just between two of the template


def halves(dtype=np.int16):
    """Labels 3 on the left and 7 on the right of the midline, 4 mm, a box in the brain."""
    labels = np.zeros((36, 40, 30), dtype)
    x = AFFINE[0, 3] + 4.0 * np.arange(36)
    labels[x < 0, 5:35, 5:25] = 3
    labels[x > 0, 5:35, 5:25] = 7
    return labels


def write(path, labels, affine=AFFINE):
    nb.Nifti1Image(labels, affine).to_filename(path)
    return path


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8])
def test_labels_keep_their_place_and_stay_whole_numbers(tmp_path, dtype):
    path = write(tmp_path / "halves.nii.gz", halves(dtype))
    regions = load_atlas(path, resolution_mm=MM)
    template = load_template(MM)
    assert regions.labels.shape == template.t1.shape
    assert set(np.unique(regions.labels)) == {0, 3, 7}
    x = template.affine[0, 0] * np.nonzero(regions.labels == 3)[0] + template.affine[0, 3]
    assert (x < 2).all()
    volume = np.count_nonzero(regions.labels) * MM**3
    assert volume == pytest.approx(np.count_nonzero(halves()) * 64, rel=0.1)
    assert regions.names == {0: "outside the atlas", 3: "label 3", 7: "label 7"}
    assert regions.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("flip", [(-1, 1, 1), (-1, -1, 1)])
def test_the_orientation_of_the_file_does_not_matter(tmp_path, flip):
    labels, affine = halves(), AFFINE.copy()
    for axis, sign in enumerate(flip):
        if sign < 0:
            labels = np.flip(labels, axis)
            affine[:3, 3] += affine[:3, axis] * (labels.shape[axis] - 1)
            affine[:3, axis] *= -1
    turned = load_atlas(write(tmp_path / "b.nii", labels, affine), resolution_mm=MM)
    straight = load_atlas(write(tmp_path / "a.nii", halves()), resolution_mm=MM)
    assert np.array_equal(turned.labels, straight.labels)


@pytest.mark.parametrize(
    ("image", "table", "text"),
    [
        ("halves.nii.gz", "halves.tsv", "index\tname\n3\tleft\n7\tright\n"),
        ("halves.nii", "halves_dseg.tsv", "name\tindex\tcolor\nleft\t3\t#000\nright\t7\t#fff\n"),
        ("tpl-X_res-02_dseg.nii.gz", "tpl-X_dseg.tsv", "index\tname\n3\tleft\n7\tright\n"),
        ("halves.nii.gz", "halves.json", json.dumps({"3": "left", "7": "right", "Note": "x"})),
    ],
)
def test_names_come_from_the_table_beside_it(tmp_path, image, table, text):
    (tmp_path / table).write_text(text)
    regions = load_atlas(write(tmp_path / image, halves()), resolution_mm=MM)
    assert regions.names == {0: "outside the atlas", 3: "left", 7: "right"}


def test_two_labels_of_one_name_are_told_apart_and_one_without_keeps_its_number(tmp_path):
    labels = halves()
    labels[0:5, 0:5, 0:5] = 9
    (tmp_path / "a.tsv").write_text("index\tname\n3\tthalamus\n7\tthalamus\n")
    regions = load_atlas(write(tmp_path / "a.nii", labels), resolution_mm=MM)
    assert list(regions.names.values())[1:] == ["thalamus (3)", "thalamus (7)", "label 9"]


def test_what_no_label_covers_is_a_region_so_that_shares_sum_to_1(tmp_path):
    regions = load_atlas(write(tmp_path / "a.nii", halves()), resolution_mm=MM)
    head = np.ones(regions.labels.shape, bool)
    rows = top_regions(np.ones(regions.labels.shape, np.float32), head, regions)
    assert rows[0]["region"] == "outside the atlas"
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["ratio"] for row in rows] == pytest.approx([1, 1, 1])
    assert "--atlas a.nii: 2 regions; " in atlas_words(regions)


def test_the_json_file_names_the_atlas_and_its_checksum_and_no_other_column_changes(tmp_path):
    own = _region_columns(load_atlas(write(tmp_path / "a.nii", halves()), resolution_mm=MM))
    coarse = _region_columns(study_regions(None, resolution_mm=MM))
    assert own["region"]["Atlas"] == "a.nii"
    assert len(own["region"]["AtlasSha256"]) == 64
    assert "Atlas" not in coarse["region"]
    assert {**own, "region": None} == {**coarse, "region": None}


def four_dimensions():
    return np.stack([halves(), halves()], axis=-1)


@pytest.mark.parametrize(
    ("labels", "affine", "words"),
    [
        (halves(np.float32) * 0.37, AFFINE, "for instance 1.11; expected whole numbers"),
        (-halves(), AFFINE, "for instance -3"),
        (four_dimensions(), AFFINE, "a.nii"),
        (np.zeros((8, 8, 8), np.int16), AFFINE, "a.nii"),
        (
            halves(),
            np.diag([4.0, 4, 4, 1]),
            "of its labelled volume lies on the head of the template",
        ),
    ],
)
def test_an_image_that_is_no_atlas_is_refused_by_name(tmp_path, labels, affine, words):
    path = write(tmp_path / "a.nii", labels, affine)
    with pytest.raises(UnusableDataError, match=words) as error:
        load_atlas(path, resolution_mm=MM)
    assert "--atlas" in str(error.value)
    assert "a.nii" in str(error.value)
    assert error.value.exit_code == 65


def test_an_image_that_says_not_where_it_lies_or_is_none_is_refused(tmp_path):
    image = nb.Nifti1Image(halves(), None)
    image.to_filename(tmp_path / "a.nii")
    with pytest.raises(UnusableDataError, match="does not say where it lies"):
        load_atlas(tmp_path / "a.nii", resolution_mm=MM)
    (tmp_path / "b.nii").write_text("no image")
    with pytest.raises(UnusableDataError, match=r"b\.nii"):
        load_atlas(tmp_path / "b.nii", resolution_mm=MM)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.tsv", "label\tname\n3\tleft\n", "found the columns label, name"),
        ("a.tsv", "index\tname\nthree\tleft\n", "'three' is no label"),
        ("a.json", "{", "no JSON file"),
    ],
)
def test_a_table_of_names_that_cannot_be_read_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusableDataError, match=words) as error:
        load_atlas(write(tmp_path / "a.nii", halves()), resolution_mm=MM)
    assert name in str(error.value)
