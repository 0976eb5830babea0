"""Stage classify on a small study of toy heads."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.control_group import ControlGroup
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import classifier_folder, scan_output, site_output
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.metrics.siteness import SHORTCUT_LIMIT, SHORTCUTS
from bids_harmonize.stages.classification.models import load_fold_classifiers
from bids_harmonize.stages.classify import run
from bids_harmonize.training.classifier import load_classifier
from tests.stages.classify_study import make_context, write_study
from tests.stages.small_study import train_briefly
from tests.training.toys import SITES, cpu_runtime

ACCURACY = "group_siteclassification.tsv"
PREDICTIONS = "group_sitepredictions.tsv"
TABLES = (
    *(ACCURACY, PREDICTIONS, "group_siterecall.tsv", "group_sitecalibration.tsv"),
    *("group_sitevisibility.tsv", "group_siteconfounding.tsv"),
)


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A quick run with one patient a site, who is held back: context and result."""
    folder = tmp_path_factory.mktemp("study")
    study = write_study(folder / "out", n_per_site=7)
    patients = frozenset(f"sub-{site}6" for site in SITES[:2])
    controls = ControlGroup("dx", "HC", study.eligible - patients, {"HC": 12, "SZ": 2})
    groups = pd.Series(dict.fromkeys(patients, "SZ")).reindex(study.participants.index)
    study = replace(
        study,
        participants=study.participants.assign(dx=groups.fillna("HC")),
        control_group=controls,
        held_back=patients,
    )
    context = make_context(study, folder / "work")
    return context, run(context)


def read_accuracy(context) -> pd.DataFrame:
    table = read_tsv(context.study.output_dir / ACCURACY).set_index(["model", "split"])
    numbers = ["n", "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "chance"]
    return table.assign(**{name: table[name].astype(float) for name in numbers})


def test_all_files_are_there_and_listed_once(classified):
    result = classified[1]
    assert result.failures == ()
    # Metadata and histogram name every toy; what a short training reaches depends on the machine.
    table = read_accuracy(classified[0])["balanced_accuracy"]
    enough = [name for name in SHORTCUTS if table[name, "validation"] > SHORTCUT_LIMIT]
    assert {"metadata", "histogram"} <= set(enough) < set(SHORTCUTS)
    told = [warning.split(" names ")[0] for warning in result.warnings]
    assert {words.rpartition("(")[2].rstrip(")") for words in told} == set(enough)
    assert told[:2] == [
        "voxel size, matrix and the like alone (metadata)",
        "the intensity histogram alone (histogram)",
    ]
    assert all(path.is_file() for path in result.files)
    names = [path.name for path in result.files]
    assert len(result.files) == len(set(result.files))
    assert sum(name.endswith("_desc-siteSaliency_statmap.nii.gz") for name in names) == 8
    assert sum(name.endswith("_desc-meanSiteSaliency_statmap.nii.gz") for name in names) == 2
    assert {*TABLES, "model.safetensors", "README.md"} <= set(names)


def test_the_network_names_the_site_and_says_how_surely(classified):
    table = read_accuracy(classified[0])
    row = table.loc[("network", "validation")]
    assert row["n"] == 12
    assert row["accuracy"] >= 10 / 12
    assert row["accuracy_low"] < row["accuracy"] <= row["accuracy_high"]
    assert (row["chance"], row["effort"]) == (0.5, "full")
    assert table.loc[("network", "train"), "n"] == 12


def test_controls_that_were_computed_on_one_fold_say_so(classified):
    table = read_accuracy(classified[0])
    efforts = {model: table.loc[(model, "validation"), "effort"] for model, _ in table.index}
    full = ("network", "covariates", "metadata", "histogram")
    quick = ("shuffled", "headmask", "brainonly", "headwithoutbrain", "withoutblocks")
    assert efforts == dict.fromkeys(full, "full") | dict.fromkeys(quick, "quick")
    notes = classified[1].notes
    assert [note.split(":")[0] for note in notes if note.startswith("control ")] == [
        "control withoutmaskblock was not run",
        "control withoutkeepblock was not run",
    ]
    assert all(f"{model} " in notes[0] for model in efforts if model != "network")
    assert table.loc[("shuffled", "validation"), "n"] == 6
    assert table.loc[("histogram", "validation"), "n"] == 12


def test_every_scan_is_predicted_by_a_network_that_has_not_seen_the_person(classified):
    context, _ = classified
    table = read_tsv(context.study.output_dir / PREDICTIONS)
    assert len(table) == len(context.study.scans)
    never = context.study.travelling | context.study.held_back
    asked = table["participant_id"].isin(never)
    assert asked.sum() == 2 + 2
    assert table.loc[asked, "fold"].isna().all()
    assert set(table.loc[~asked, "fold"]) == {"1", "2"}
    folder = classifier_folder(context.study.output_dir)
    assert not never & set(read_tsv(folder / "training.tsv")["participant_id"])
    assert "controls alone (dx = HC)" in (folder / "README.md").read_text()
    split = read_tsv(folder / "splits.tsv")
    fold_of = dict(zip(split["participant_id"], split["fold"], strict=True))
    single = table[~asked]
    assert list(single["fold"]) == [fold_of[person] for person in single["participant_id"]]
    probabilities = table[[f"p_{site}" for site in SITES[:2]]].astype(float)
    assert np.allclose(probabilities.sum(axis=1), 1)
    named = [SITES[index] for index in probabilities.to_numpy().argmax(axis=1)]
    assert list(table["predicted"]) == named


def test_every_column_is_described(classified):
    root = classified[0].study.output_dir
    for name in TABLES:
        described = json.loads((root / name).with_suffix(".json").read_text())
        assert list(described) == list(read_tsv(root / name).columns)


def test_what_says_nothing_of_the_site_has_a_large_p_and_what_names_it_a_small_one(classified):
    table = read_accuracy(classified[0])
    p = {model: float(table.loc[(model, "validation"), "p_permutation"]) for model in
         ("network", "covariates", "metadata", "histogram")}  # fmt: skip
    # 12 people in two folds: 400 deals, of which one is right.
    assert p["metadata"] < 0.01
    assert p["histogram"] < 0.01
    assert p["network"] < 0.05
    assert p["covariates"] > 0.05
    assert pd.isna(table.loc[("network", "train"), "p_permutation"])


def test_visibility_recall_and_confounding_stand_in_tables(classified):
    root = classified[0].study.output_dir
    visible = read_tsv(root / "group_sitevisibility.tsv")
    assert visible["model"].tolist() == ["network"] * 4 + ["withoutblocks"] * 4
    assert visible["visible_fraction"].tolist() == ["1.0", "0.5", "0.25", "0.125"] * 2
    assert visible["difference"].notna().tolist() == [True] * 4 + [False] * 4
    assert set(visible["n"]) == {"6"}
    recall = read_tsv(root / "group_siterecall.tsv")
    network = recall[recall["model"] == "network"]
    assert (network["site"].tolist(), network["n"].tolist()) == (list(SITES[:2]), ["6", "6"])
    mean = network["recall"].astype(float).mean()
    balanced = read_accuracy(classified[0]).loc[("network", "validation"), "balanced_accuracy"]
    assert mean == pytest.approx(balanced)
    confounding = read_tsv(root / "group_siteconfounding.tsv").set_index("variable")
    assert confounding.loc["age", "n"] == "11"
    assert set(confounding["warning"]) == {"false"}


def test_the_card_lists_every_row_and_what_was_not_run(classified):
    card = (classifier_folder(classified[0].study.output_dir) / "README.md").read_text()
    assert "`lean`: five convolutions" in card
    for model in read_accuracy(classified[0]).index.get_level_values("model"):
        assert f"| {model} | " in card
    assert "Not run: withoutmaskblock, because --effort quick." in card


def test_saliency_lies_on_the_study_grid_and_is_zero_outside_the_head(classified):
    study = classified[0].study
    maps = [scan for scan in study.scans if scan_output_of(study, scan).is_file()]
    assert {scan.site for scan in maps} == set(SITES[:2])
    for scan in maps:
        saliency, affine = read_image(scan_output_of(study, scan))
        image, image_affine = read_image(scan.t1w)
        head, _ = read_image(scan.head_mask)
        assert saliency.shape == image.shape
        assert np.array_equal(affine, image_affine)
        assert not saliency[head == 0].any()
        sidecar = json.loads(str_sidecar(scan_output_of(study, scan)).read_text())
        assert sidecar["Sources"] == [f"bids::{scan.t1w.relative_to(study.output_dir)}"]
        assert (sidecar["Units"], sidecar["SkullStripped"]) == ("log-odds per mL", False)


def test_the_share_inside_the_brain_stands_in_the_predictions(classified):
    study = classified[0].study
    table = read_tsv(study.output_dir / PREDICTIONS).dropna(subset="saliency_in_brain")
    assert len(table) == 8
    assert table["saliency_in_brain"].astype(float).between(0, 1).all()
    assert (table["saliency_brain_ratio"].astype(float) > 0).all()


def test_the_mean_map_lies_where_the_heads_do(classified):
    study = classified[0].study
    for site in SITES[:2]:
        saliency, affine = read_image(site_output(study.output_dir, site, "site_mean_saliency"))
        weight = np.abs(saliency)
        place = np.stack(np.nonzero(weight))
        middle = affine[:3, :3] @ np.average(place, axis=1, weights=weight[weight > 0])
        # The template's grid does not reach below the toy heads' chin, so only two axes are told.
        assert (middle + affine[:3, 3])[:2] == pytest.approx([0, 0], abs=25)


def test_the_model_comes_back_with_what_it_was_trained_on(classified):
    context, _ = classified
    folder = classifier_folder(context.study.output_dir)
    classifier, model = load_classifier(folder, cpu_runtime())
    assert classifier.sites == SITES[:2]
    assert (model["scaling_mask"], model["settings"]["n_epochs"]) == ("brain", 2)
    training = read_tsv(folder / "training.tsv")
    assert list(training.columns) == ["participant_id", "site", "filename", "sha256"]
    assert not set(training["participant_id"]) & context.study.travelling
    assert set(training["participant_id"]) == context.study.trainees


def test_the_fold_networks_can_be_asked_again(classified):
    context, _ = classified
    folds = load_fold_classifiers(context.work_dir, context.runtime)
    assert frozenset().union(*(fold.held_out for fold in folds)) == context.study.trainees
    assert sum(len(fold.held_out) for fold in folds) == len(context.study.trainees)
    assert load_fold_classifiers(context.work_dir / "nothing", context.runtime) == ()


def test_an_unchanged_study_is_reused_and_harmonized_rows_stay(classified):
    context, result = classified
    before = {path: path.stat().st_mtime_ns for path in result.files}
    again = run(context)
    assert "reused" in again.notes[0]
    assert (again.notes[1:], again.warnings) == (result.notes, result.warnings)
    assert set(again.files) == set(result.files)
    assert {path: path.stat().st_mtime_ns for path in again.files} == before


def test_a_changed_study_is_classified_anew_and_keeps_rows_of_others(tmp_path, monkeypatch):
    train_briefly(monkeypatch)
    context = make_context(write_study(tmp_path / "out", n_per_site=3), tmp_path / "work")
    first = run(context)
    path = context.study.output_dir / ACCURACY
    other = "network\tharmonizedLeeds\tvalidation\t8" + "\t0.5" * 10 + "\tfull\n"
    path.write_text(path.read_text() + other)
    fewer = replace(context.study, eligible=context.study.eligible - {"sub-Nara2"})
    result = run(replace(context, study=fewer))
    assert "unseen participants" in result.notes[0]
    table = read_tsv(path)
    assert list(table["images"]).count("harmonizedLeeds") == 1
    assert table.loc[table["model"] == "network", "n"].tolist() == ["5", "5", "8"]
    gone = set(first.files) - set(result.files)
    assert [file.name for file in gone] == ["sub-Nara2_ses-Nara_desc-siteSaliency_statmap.nii.gz"]
    assert not any(file.exists() for file in gone)


@pytest.mark.slow
def test_a_full_run_explains_every_scan_and_runs_every_fold(tmp_path):
    context = make_context(write_study(tmp_path / "out"), tmp_path / "work", effort="full")
    result = run(context)
    assert set(read_accuracy(context)["effort"]) == {"full"}
    names = [path.name for path in result.files]
    assert sum("desc-siteSaliency_" in name for name in names) == len(context.study.scans)


def scan_output_of(study, scan):
    return scan_output(study.output_dir, scan.stem, "site_saliency")


def str_sidecar(path):
    return path.with_name(path.name.replace(".nii.gz", ".json"))
