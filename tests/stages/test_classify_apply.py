"""Stage classify with --model-dir: a finished classifier, new scans, nothing fitted."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.images import read_image, write_image
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import make_settings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages import run_stage
from bids_harmonize.stages.classification.applied_tables import prediction_frame_of, write_applied
from bids_harmonize.stages.classification.apply import check_fits
from bids_harmonize.training.classifier import load_classifier
from tests.stages.classify_study import make_context, write_study
from tests.training.toys import SITES, cpu_runtime

ACCURACY, PREDICTIONS = "group_siteclassification.tsv", "group_sitepredictions.tsv"
RECALL = "group_siterecall.tsv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The study that a classifier was trained on."""
    folder = tmp_path_factory.mktemp("trained")
    context = make_context(write_study(folder / "out", n_per_site=4), folder / "work")
    run_stage("classify", context)
    return context


def applied(context, study, model_dir, work_dir):
    """The stage's context for applying the model to a study without roles."""
    bare = replace(
        study, trained_sites=(), eligible=frozenset(), travelling=frozenset(), reference_site=""
    )
    group = {"model_dir": str(model_dir)}
    settings = make_settings({"group": group}, source="test")
    return replace(context, study=bare, settings=settings, work_dir=work_dir)


def new_study(folder, *, site=None):
    """Heads that no model has seen: the toy study with other intensities in one voxel."""
    study = write_study(folder, n_per_site=3, n_travelling=0)
    for scan in study.scans:
        volume, affine = read_image(scan.t1w)
        volume[8, 10, 8] += 0.01
        write_image(scan.t1w, volume, affine)
    if site is None:
        return study
    return replace(study, scans=tuple(replace(scan, site=site) for scan in study.scans))


def test_new_scans_are_named_and_counted_apart(trained, tmp_path):
    study = new_study(tmp_path / "out")
    models = trained.study.output_dir / "models"
    result = run_stage("classify", applied(trained, study, models, tmp_path / "work"))
    table = read_tsv(tmp_path / "out" / PREDICTIONS)
    assert len(table) == 6
    assert table["fold"].isna().all()
    assert set(table["trained_on"]) == {"false"}
    row = read_tsv(tmp_path / "out" / ACCURACY).iloc[0]
    assert (row["model"], row["images"], row["split"], row["n"]) == (
        *("network", "preproc", "new"),
        "6",
    )
    right = (table["predicted"] == table["site"]).mean()
    assert float(row["accuracy"]) == pytest.approx(right)
    assert float(row["chance"]) == 0.5
    assert "scans asked about: 6, of which it was trained on 0" in result.notes[0]
    recall = read_tsv(tmp_path / "out" / RECALL)
    assert recall["split"].tolist() == ["new", "new"]
    assert recall[["site", "n"]].to_numpy().tolist() == [[site, "3"] for site in SITES[:2]]
    mean = recall["recall"].astype(float).mean()
    assert mean == pytest.approx(float(row["balanced_accuracy"]))
    unseen = recall["n_unseen"].astype(int).sum()
    assert unseen == (table["unseen_site"] == "true").sum()
    for path in result.files:
        described = json.loads(path.with_suffix(".json").read_text())
        assert set(described) == set(read_tsv(path).columns)
    assert not (tmp_path / "out" / "models").exists()


@pytest.mark.parametrize("site", ["n/a", "Oslo"])
def test_unknown_sites_and_sites_never_met_are_asked_about_and_not_scored(trained, tmp_path, site):
    study = new_study(tmp_path / "out", site=site)
    folder = trained.study.output_dir / "models" / "classifier"
    result = run_stage("classify", applied(trained, study, folder, tmp_path / "work"))
    table = read_tsv(tmp_path / "out" / PREDICTIONS)
    probabilities = table[[f"p_{name}" for name in SITES[:2]]].astype(float)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert read_tsv(tmp_path / "out" / ACCURACY).empty
    assert read_tsv(tmp_path / "out" / RECALL).empty
    words = "of unknown site: 6" if site == "n/a" else "does not know (Oslo): 6"
    assert any(words in note for note in result.notes)


def test_scans_that_were_trained_on_are_marked_and_keep_their_out_of_fold_answer(
    trained, tmp_path
):
    root = trained.study.output_dir
    before = read_tsv(root / PREDICTIONS).set_index("filename")
    stamp = trained.work_dir / "classify" / "stamp.json"
    assert stamp.is_file()
    run_stage("classify", applied(trained, trained.study, root / "models", trained.work_dir))
    after = read_tsv(root / PREDICTIONS).set_index("filename")
    crossed = before["fold"].notna()
    assert crossed.sum() == 8
    columns = ["fold", "predicted", *(f"p_{site}" for site in SITES[:2])]
    kept = after.loc[before.index[crossed], columns]
    assert kept.equals(before.loc[crossed, columns])
    assert set(after.loc[before.index[~crossed], "trained_on"]) == {"false"}
    splits = read_tsv(root / ACCURACY)
    assert {"train", "validation", "new"} <= set(splits["split"])
    assert splits.loc[splits["split"] == "new", "n"].tolist() == ["2"]
    recall = read_tsv(root / RECALL)
    assert recall.loc[recall["split"] == "new", "n"].tolist() == ["1", "1"]
    kept = recall[(recall["split"] == "validation") & (recall["model"] == "network")]
    assert kept["n"].tolist() == ["4", "4"]
    assert not stamp.exists()


def test_a_foreign_model_says_whose_answers_it_replaces(trained, tmp_path):
    models = trained.study.output_dir / "models"
    own = make_context(new_study(tmp_path / "out"), tmp_path / "work")
    run_stage("classify", own)
    result = run_stage("classify", applied(own, own.study, models, tmp_path / "work"))
    assert "cross-validated answers on 6 scans were replaced" in result.warnings[0]
    again = run_stage("classify", applied(own, own.study, models, tmp_path / "work"))
    assert not any("were replaced" in warning for warning in again.warnings)


def test_a_scan_that_is_called_unseen_gets_no_site(trained, tmp_path):
    study = new_study(tmp_path / "out")
    found = pd.DataFrame(
        {
            "key": [scan.stem for scan in study.scans],
            "participant_id": [scan.participant_id for scan in study.scans],
            "site": [scan.site for scan in study.scans],
            "fold": "new",
            f"p_{SITES[0]}": 0.9,
            f"p_{SITES[1]}": 0.1,
            "unseen_score": [9.0, *[1.0] * 5],
            "unseen_site": pd.Series([True, *[False] * 5], dtype=object),
            "trained_on": [False, True, *[False] * 4],
        }
    )
    table = prediction_frame_of(study, found, SITES[:2])
    write_applied(study.output_dir, table, found, seed=0)
    written = read_tsv(study.output_dir / PREDICTIONS)
    assert written["unseen_site"].tolist() == ["true", *["false"] * 5]
    assert written["predicted"].isna().tolist() == [True, *[False] * 5]
    row = read_tsv(study.output_dir / ACCURACY).iloc[0]
    assert row["n"] == "5"
    assert float(row["accuracy"]) == pytest.approx(2 / 5)
    recall = read_tsv(study.output_dir / RECALL).set_index("site")
    # The first scan is called unseen, the second was trained on and does not count.
    assert recall["n"].tolist() == ["2", "3"]
    assert recall["recall"].astype(float).tolist() == [1.0, 0.0]
    assert recall["n_unseen"].tolist() == ["1", "0"]


def test_doubtful_scans_are_listed_and_a_study_of_them_alone_is_refused(trained, tmp_path):
    study = new_study(tmp_path / "out")
    first = replace(study.scans[0], usable=False)
    models = trained.study.output_dir / "models"
    some = applied(trained, replace(study, scans=(first, *study.scans[1:])), models, tmp_path)
    result = run_stage("classify", some)
    assert any(first.stem in warning for warning in result.warnings)
    assert len(read_tsv(tmp_path / "out" / PREDICTIONS)) == 5
    none = tuple(replace(scan, usable=False) for scan in study.scans)
    with pytest.raises(UnusableDataError, match="all 6 scans have doubtful masks"):
        run_stage("classify", applied(trained, replace(study, scans=none), models, tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"voxel_size_mm": 14.0}, "voxels of 14 mm, which is coarser"),
        ({"grid_shape": (16, 20, 20)}, "this study gives 16 x 20 x 20 at that voxel size"),
        ({"voxel_size_mm": 6.0}, "this study gives 16 x 24 x 16 at that voxel size"),
        ({"scaling_mask": "head"}, "scaled in the brain mask, this study"),
    ],
)
def test_a_study_that_is_not_like_the_models_is_refused_with_the_reason(trained, change, words):
    folder = trained.study.output_dir / "models" / "classifier"
    classifier, model = load_classifier(folder, cpu_runtime())
    check_fits(trained.study, classifier, model, folder)
    with pytest.raises(UnusableDataError, match=words):
        check_fits(replace(trained.study, **change), classifier, model, folder)
