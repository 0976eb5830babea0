"""With a group column: who is held back gives nothing to any model, and loses nothing."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.control_group import ControlGroup
from bids_harmonize.bids.images import read_image, write_image
from bids_harmonize.bids.names import card_folder, harmonizer_folder, scan_output
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import make_settings
from bids_harmonize.errors import LeakError
from bids_harmonize.stages import StageContext, run_stage
from bids_harmonize.stages.classification.confounding import confounding_rows, study_warnings
from bids_harmonize.stages.harmonization.card import export_card
from bids_harmonize.stages.harmonization.fitted import load_halves
from bids_harmonize.stages.harmonization.halves import study_halves
from bids_harmonize.stages.tissue.plan import choose_scans, load_models, plan_harmonized
from bids_harmonize.training.runtime import make_runtime
from tests.stages.feature_tables import (
    make_feature_context,
    make_feature_settings,
    make_table,
    write_tsv,
)
from tests.stages.small_study import write_small_study

N_PER_SITE, N_PATIENTS = 14, 4
METHODS = ("histogram", "localhistogram")
SHORT = {"n_iterations": 2, "check_every": 1}


def is_patient(person):
    return "T" not in person and int(person.removeprefix("sub-")[1:]) < N_PATIENTS


def with_patients(study):
    """The study with a group column: the first four of each site are patients."""
    groups = {person: "SZ" if is_patient(person) else "HC" for person in study.participants.index}
    patients = frozenset(person for person, group in groups.items() if group == "SZ")
    group = ControlGroup("dx", "HC", frozenset(groups) - patients, {"HC": 21, "SZ": 8})
    people = study.participants.assign(dx=pd.Series(groups))
    return replace(study, participants=people, control_group=group, held_back=patients)


def make_context(study, work_dir, **group):
    values = {
        "group": {
            "harmonizer": "localhistogram", "stages": ("harmonize", "features"),
            "network_resolution_mm": 8.0, **group,
        },
        "harmonizer": SHORT,
    }  # fmt: skip
    settings = make_settings(values, source="test")
    runtime = make_runtime(make_settings({"resources": {"device": "cpu"}}, source="t").resources)
    return StageContext(study, settings, work_dir, "run", runtime)


@pytest.fixture(scope="module", autouse=True)
def _two_methods():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("bids_harmonize.stages.harmonize.names_to_fit", lambda _: METHODS)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two sites of ten controls and four patients, harmonized with half models."""
    folder = tmp_path_factory.mktemp("controls")
    study = with_patients(write_small_study(folder / "out", n_per_site=N_PER_SITE, n_travelling=1))
    context = make_context(study, folder / "work")
    return context, run_stage("harmonize", context)


def model_folders(context):
    folders = [harmonizer_folder(context.study.output_dir, name, "A") for name in METHODS]
    return [*folders, folders[-1] / "half-1", folders[-1] / "half-2"]


def test_every_model_is_fitted_on_controls_alone(done):
    context, result = done
    for folder in model_folders(context):
        people = set(read_tsv(folder / "training.tsv")["participant_id"])
        assert people <= context.study.trainees
        assert len(people) in (20, 10)
    assert result.notes[0] == (
        "models are fitted on controls alone (dx = HC): 20 of 28 eligible participants"
    )


def test_the_splits_say_who_was_held_back_and_in_which_half(done):
    context, _ = done
    folders = model_folders(context)[-3:]
    delivered, *halves = (read_tsv(folder / "splits.tsv") for folder in folders)
    assert set(delivered["participant_id"]) == context.study.eligible
    held = delivered[delivered["split"] == "held-back"]
    assert set(held["participant_id"]) == context.study.held_back
    assert held.groupby(["site", "half"]).size().to_dict() == {
        (site, half): 2 for site in "AB" for half in "12"
    }
    for number, half in enumerate(halves, start=1):
        assert set(half["half"]) == {str(number)}
        assert (half["split"] == "held-back").sum() == 4


def test_the_numbers_of_the_models_do_not_change_with_the_patients_images(done, tmp_path):
    """The decisive test: strangers in the patients' place, and not a bit of a model moves."""
    context, _ = done
    study = with_patients(write_small_study(tmp_path / "out", n_per_site=N_PER_SITE))
    for scan in study.scans:
        if scan.participant_id in study.held_back:
            volume, affine = read_image(scan.t1w)
            write_image(scan.t1w, np.maximum(volume, 0) ** 1.1, affine)
    other = make_context(study, tmp_path / "work")
    run_stage("harmonize", other)
    for mine, theirs in zip(model_folders(context), model_folders(other), strict=True):
        weights = (mine / "model.safetensors").read_bytes()
        assert weights == (theirs / "model.safetensors").read_bytes(), mine


def test_patients_get_images_like_anybody(done):
    context, result = done
    study = context.study
    for person in ("sub-B0", "sub-B9", "sub-T0"):
        scan = next(s for s in study.scans if s.participant_id == person and s.site == "B")
        image = scan_output(study.output_dir, scan, "harmonized", reference="A")
        assert image in result.files
        assert image.is_file()


def test_the_model_card_says_on_whom_it_was_fitted_and_counts_them_alone(done):
    folder = model_folders(done[0])[-3]
    text = (folder / "README.md").read_text()
    assert "Models are fitted on controls alone (dx = HC): 20 of 28 eligible participants." in text
    assert "| A | 10 |" in text
    assert json.loads((folder / "model.json").read_text())["fitted_on"].startswith("models are")


def test_patients_are_measured_by_the_half_model_that_has_not_seen_their_half(done):
    context, _ = done
    models = load_models(context)
    fits = {
        scan.participant_id: plan_harmonized(context, scan, models).fit
        for scan in choose_scans(context).scans
        if scan.participant_id in context.study.held_back
    }
    assert set(fits) == context.study.held_back
    halves = load_halves(context).halves
    for person, fit in fits.items():
        assert person not in halves[("half-1", "half-2").index(fit)]


def test_a_quick_sample_for_the_features_holds_patients_too(done):
    context, _ = done
    settings = make_settings({"group": {"effort": "quick"}}, source="test")
    chosen = choose_scans(replace(context, settings=settings)).scans
    assert any(scan.participant_id in context.study.held_back for scan in chosen)


def test_half_models_need_enough_controls_and_patients_do_not_count(done):
    study = done[0].study
    settings = done[0].settings
    assert study_halves(study, settings)[1] is None
    more = study.held_back | {"sub-B4"}
    halves, reason = study_halves(replace(study, held_back=more), settings)
    assert halves is None
    assert "site B has 4 controls in a half, 5 are needed" in reason


def test_half_models_of_a_former_delivered_model_are_removed(tmp_path):
    study = with_patients(write_small_study(tmp_path / "out", n_per_site=N_PER_SITE))
    context = make_context(study, tmp_path / "work")
    run_stage("harmonize", context)
    *_, half_1, half_2 = model_folders(context)
    assert half_1.is_dir()
    more = replace(study, held_back=study.held_back | {"sub-B4"})
    result = run_stage("harmonize", replace(context, study=more))
    assert not half_1.exists()
    assert not half_2.exists()
    assert any("no half models were fitted" in warning for warning in result.warnings)


def test_somebody_held_back_among_the_scans_to_fit_on_is_a_leak(done, monkeypatch):
    context, _ = done
    study = context.study
    monkeypatch.setattr(type(study), "trainees", property(lambda self: self.eligible))
    with pytest.raises(LeakError, match="sub-A0"):
        run_stage("harmonize", context)


def test_a_card_is_made_of_controls_and_says_so(done, tmp_path):
    context, _ = done
    settings = make_settings(
        {"group": {"export_card": True, "network_resolution_mm": 8.0}}, source="test"
    )
    export_card(replace(context, settings=settings, work_dir=tmp_path))
    folder = card_folder(context.study.output_dir, "A")
    model = json.loads((folder / "model.json").read_text())
    assert (model["n_people"], model["people"]) == (10, "controls alone (dx = HC)")
    assert "each person weighs once); controls alone (dx = HC) |" in (
        (folder / "README.md").read_text()
    )


def test_age_is_compared_among_those_who_train_and_the_group_among_all(done):
    study = done[0].study
    people = study.participants.assign(age=30.0)
    people.loc[[f"sub-B{n}" for n in range(4, 9)], "dx"] = "SZ"
    study = replace(study, participants=people)
    rows = {row["variable"]: row for row in confounding_rows(study)}
    assert (rows["age"]["n"], rows["dx"]["n"]) == (20, 28)
    warned = {**rows["dx"], "warning": True}
    told = study_warnings(study, [], [warned])
    assert "though the models are fitted on controls alone" in told[0]
    told = study_warnings(replace(study, held_back=frozenset()), [], [warned])
    assert "the network may tell the people apart" in told[0]


def table_with_groups(n_patients):
    frame = make_table(effect=3.0)
    frame["dx"] = ["SZ" if n % 12 < n_patients else "HC" for n in range(len(frame))]
    return frame


def features_result(tmp_path, frame):
    path = write_tsv(tmp_path / "table.tsv", frame)
    settings = make_feature_settings(path, group_column="dx", folds=3)
    context = make_feature_context(tmp_path / "out", settings)
    (tmp_path / "out").mkdir()
    result = run_stage("classify", context)
    return context.studies[0], result, read_tsv(tmp_path / "out" / "group_sitepredictions.tsv")


def test_tables_of_features_are_fitted_on_controls_and_everybody_is_asked(tmp_path):
    study, result, table = features_result(tmp_path, table_with_groups(4))
    assert "dx" not in study.features.columns
    assert study.trains.sum() == 24
    asked = table[table["fold"].isna()]
    assert set(asked["participant_id"]) == study.held_back
    assert len(asked) == 12
    assert len(table) == 36
    assert "24 of 36 eligible participants" in result.notes[0]


def test_a_table_with_too_few_controls_at_a_site_is_fitted_on_everybody_with_a_warning(tmp_path):
    study, result, table = features_result(tmp_path, table_with_groups(9))
    assert study.held_back == frozenset()
    assert table["fold"].notna().all()
    assert "5 controls a site are needed (--min-per-site) and Kyoto has 3" in result.warnings[0]


def test_a_table_without_the_column_takes_it_from_participants(tmp_path):
    frame = table_with_groups(4)
    (tmp_path / "out").mkdir()
    write_tsv(tmp_path / "out" / "participants.tsv", frame[["participant_id", "dx"]])
    path = write_tsv(tmp_path / "table.tsv", frame.drop(columns="dx"))
    settings = make_feature_settings(path, group_column="DX", control_label="sz")
    study = make_feature_context(tmp_path / "out", settings).studies[0]
    assert study.control_group.counts == {"HC": 24, "SZ": 12}
    assert "Kyoto has 4" in study.fitted_on_everybody
