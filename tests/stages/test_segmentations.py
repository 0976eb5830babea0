"""Volumes in a derivative of sMRIPrep or fMRIPrep, and what is said where it cannot be used."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.images import write_image
from bids_harmonize.cli.parser import parse
from bids_harmonize.cli.request import make_request
from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.stages.case_control.arms import make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.effects import case_control_rows
from bids_harmonize.stages.feature_table.segmentations import read_segmentations
from bids_harmonize.stages.feature_table.study import feature_sources
from tests.stages.feature_tables import make_feature_context, make_feature_settings

VOXEL_ML = 2 * 2 * 3 / 1000
AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])
LOOK_UP = "index\tname\tcolor\n0\tUnknown\t#000000\n17\tLeft-Hippocampus\t#dcd814\n"
LOOK_UP += "72\t5th-Ventricle\t#789\n1035\tctx-lh-insula\t#ffc020\n2035\tctx-rh-insula\t#ffc020\n"


def write_labels(path, counts, *, shape=(6, 6, 6)):
    """A label image with so many voxels of each label, 0 elsewhere."""
    volume = np.zeros(shape)
    labels = np.repeat(list(counts), list(counts.values()))
    volume.flat[: len(labels)] = labels
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, volume, AFFINE)


def write_maps(root, stem, gm, *, folder=None):
    """Tissue maps: so many voxels that are half grey matter and half white, one of fluid."""
    shares = {"GM": (gm, 0.5), "WM": (gm, 0.5), "CSF": (1, 1.0)}
    folder = root / stem.split("_")[0] / "anat" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    for tissue, (n, share) in shares.items():
        volume = np.zeros((6, 6, 6))
        volume.flat[:n] = share
        write_image(folder / f"{stem}_label-{tissue}_probseg.nii.gz", volume, AFFINE)


@pytest.fixture
def root(tmp_path):
    """Two people with everything; the second has one region more."""
    folder = tmp_path / "smriprep"
    for number, name in enumerate(("sub-01", "sub-02"), start=1):
        anat = folder / name / "anat"
        write_maps(folder, name, 20 * number)
        write_labels(anat / f"{name}_dseg.nii.gz", {1: 40, 2: 30, 3: 9})
        counts = {17: 3 + number, 1035: 10, 2035: 12, **({72: 2} if number == 2 else {})}
        write_labels(anat / f"{name}_desc-aparcaseg_dseg.nii.gz", counts)
        write_labels(anat / f"{name}_desc-aseg_dseg.nii.gz", {17: 5})
        write_maps(folder, f"{name}_space-MNI152NLin2009cAsym", 5, folder=anat)
    (folder / "desc-aparcaseg_dseg.tsv").write_text(LOOK_UP)
    return folder


def said(root):
    with pytest.raises(UnusableDataError) as caught:
        read_segmentations(root)
    return str(caught.value)


def test_maps_and_regions_become_volumes_in_ml(root):
    rows = read_segmentations(root).rows.set_index("participant_id")
    numbers = rows.drop(columns="session_id").astype(float)
    assert list(numbers.columns) == [
        *("gm_volume_ml", "wm_volume_ml", "csf_volume_ml", "intracranial_volume_ml"),
        *("Left-Hippocampus_volume_ml", "lh_insula_volume_ml", "rh_insula_volume_ml"),
        "5th-Ventricle_volume_ml",
    ]
    for number, name in ((1, "sub-01"), (2, "sub-02")):
        n = 10 * number  # 20 or 40 voxels that are half of each
        voxels = [n, n, 1, 2 * n + 1, 3 + number, 10, 12, 2 * (number == 2)]
        np.testing.assert_allclose(numbers.loc[name], np.array(voxels) * VOXEL_ML, rtol=1e-5)


def test_without_maps_the_labels_of_dseg_are_counted(root):
    for path in root.glob("sub-*/anat/*_probseg.nii.gz"):
        path.unlink()
    row = read_segmentations(root).rows.iloc[0]
    for name, n in (("gm", 40), ("wm", 30), ("csf", 9), ("intracranial", 79)):
        assert float(row[f"{name}_volume_ml"]) == pytest.approx(n * VOXEL_ML, rel=1e-5)


def test_aseg_stands_in_for_aparcaseg(root):
    for path in root.glob("sub-*/anat/*aparcaseg*"):
        path.unlink()
    (root / "desc-aparcaseg_dseg.tsv").rename(root / "desc-aseg_dseg.tsv")
    rows = read_segmentations(root).rows
    assert float(rows["Left-Hippocampus_volume_ml"].iloc[0]) == pytest.approx(5 * VOXEL_ML)
    assert "lh_insula_volume_ml" not in rows


def test_sessions_are_told_apart_and_people_without_are_named(tmp_path):
    for session, n in (("A", 10), ("B", 30)):
        folder = tmp_path / "sub-01" / f"ses-{session}" / "anat"
        write_maps(tmp_path, f"sub-01_ses-{session}_run-1", n, folder=folder)
    (tmp_path / "sub-02" / "figures").mkdir(parents=True)
    found = read_segmentations(tmp_path)
    assert found.rows["session_id"].tolist() == ["ses-A", "ses-B"]
    assert found.rows["gm_volume_ml"].astype(float).tolist() == [5 * VOXEL_ML, 15 * VOXEL_ML]
    assert found.notes[0] == "left out, without a segmentation: sub-02"


def test_all_faults_are_named_with_the_scan(root):
    anat = {name: root / name / "anat" for name in ("sub-01", "sub-02", "sub-03")}
    (anat["sub-01"] / "sub-01_label-CSF_probseg.nii.gz").unlink()
    volume = np.zeros((6, 6, 6))
    volume.flat[:4] = 255
    write_image(anat["sub-02"] / "sub-02_label-GM_probseg.nii.gz", volume, AFFINE)
    write_maps(root, "sub-03", 30)
    write_labels(anat["sub-03"] / "sub-03_desc-aparcaseg_dseg.nii.gz", {17: 3, 1001: 4})
    text = said(root)
    assert "3 of 3 subjects in the segmentations of sMRIPrep or fMRIPrep cannot be used" in text
    assert "sub-01: has no label-CSF_probseg, which others have" in text
    assert "sub-02: sub-02_label-GM_probseg.nii.gz holds 0 to 255; expected probabilities" in text
    assert "sub-03_desc-aparcaseg_dseg.nii.gz has labels without a name" in text
    assert ": 1001" in text


def test_labels_that_are_no_tissue_are_refused(tmp_path):
    write_labels(tmp_path / "sub-01" / "anat" / "sub-01_dseg.nii.gz", {1: 4, 7: 2})
    write_labels(tmp_path / "sub-02" / "anat" / "sub-02_dseg.nii.gz", {1: 4, 2.5: 2})
    text = said(tmp_path)
    assert "sub-01_dseg.nii.gz has labels 7; expected 1 (GM), 2 (WM), 3 (CSF)" in text
    assert "sub-02_dseg.nii.gz holds numbers that are no labels" in text


def test_a_truncated_image_is_refused(root):
    path = root / "sub-02" / "anat" / "sub-02_label-WM_probseg.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    assert "sub-02: " in said(root)
    assert "sub-02_label-WM_probseg.nii.gz" in said(root)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "desc-aparcaseg_dseg.tsv is missing: it names the labels of desc-aparcaseg_dseg"),
        ("number\tname\n1\tx\n", "expected columns index and name; found: number, name"),
        ("index\tname\none\tx\n", "an index is no whole number"),
    ],
)
def test_a_look_up_table_that_is_missing_or_wrong_is_told(root, text, words):
    path = root / "desc-aparcaseg_dseg.tsv"
    path.unlink() if text is None else path.write_text(text)
    assert words in said(root)


def test_the_digest_follows_the_images(root):
    before = read_segmentations(root).sha256
    write_maps(root, "sub-02_space-MNI152NLin2009cAsym", 7, folder=root / "sub-02" / "anat")
    assert read_segmentations(root).sha256 == before  # not read
    write_maps(root, "sub-02", 41)
    assert read_segmentations(root).sha256 != before


def test_the_folder_is_a_source_of_features_and_others_are_told_of_it(root):
    (source,) = feature_sources(make_feature_settings(root))
    assert source.words.startswith("segmentations of sMRIPrep or fMRIPrep in smriprep, sha256 ")
    with pytest.raises(UsageError, match="Nor is it a derivative of sMRIPrep or fMRIPrep with"):
        feature_sources(make_feature_settings(root / "sub-01"))


def test_a_name_of_derivatives_names_its_folder(root, tmp_path):
    words = ["-", str(tmp_path / "out"), "group", "-d", f"prep={root}", "--features"]
    assert make_request(parse([*words, "prep"])).settings.group.features == {"raw": str(root)}
    with pytest.raises(UsageError, match="--features other: no such file or folder"):
        make_request(parse([*words, "other"]))


def test_cases_are_compared_in_the_volumes(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["participant_id\tsite\tdiagnosis"]
    for site in ("Kyoto", "Leeds"):
        for i in range(16):
            name, case = f"sub-{site}{i:02d}", i % 2
            counts = {1: 80 - 30 * case + int(rng.integers(0, 8)), 2: 60 + int(rng.integers(0, 8))}
            path = tmp_path / "prep" / name / "anat" / f"{name}_dseg.nii.gz"
            write_labels(path, {**counts, 3: 10 + int(rng.integers(0, 8))})
            lines.append(f"{name}\t{site}\t{'SZ' if case else 'HC'}")
    (tmp_path / "prep" / "participants.tsv").write_text("\n".join(lines) + "\n")
    settings = make_feature_settings(tmp_path / "prep", group_column="diagnosis")
    (study,) = make_feature_context(tmp_path / "out", settings).studies
    arms = make_arms(make_cohort(study, settings)).arms
    assert [arm.name for arm in arms] == ["raw", "covariate", "combat"]
    table = pd.DataFrame(case_control_rows(arms[2])).set_index("feature")
    assert set(table.index) == {"gm_volume_ml", "wm_volume_ml", "csf_volume_ml"}
    assert table.loc["gm_volume_ml", "d"] < -3  # adjusted for their sum
    assert table.loc["gm_volume_ml", "n_cases"] == 16
