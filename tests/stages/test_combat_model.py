"""A fitted ComBat on disk: equal bits, who was fitted on, and clear words on what is broken."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_harmonize.bids.judged import read_trained_on
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.case_control.combat_model import CombatModel, load_combat, save_combat
from bids_harmonize.stats import fit_combat
from bids_harmonize.training.checkpoint import load_weights, save_weights

SITES = ["Site B"] * 12 + ["Ulm, Süd"] * 9
PEOPLE = {f"sub-{number:02d}": site for number, site in enumerate(SITES)}


def table(*, n_covariates=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(21, 3)) + 2, SITES, rng.normal(size=(21, n_covariates))


def make_model(*, n_covariates=2):
    covariates = {"age": "years", "male": "1 for men, 0 for women"}
    return CombatModel(
        combat=fit_combat(*table(n_covariates=n_covariates)),
        features=("lh_insula_thickness", "lh_cuneus_thickness", "Left-Hippocampus"),
        covariates=covariates if n_covariates else {},
        fitted_on="controls (diagnosis: HC) only",
    )


@pytest.fixture
def saved(tmp_path):
    provenance = {"table_sha256": "ab" * 32, "run_id": "run-1"}
    save_combat(tmp_path, make_model(), people=PEOPLE, provenance=provenance)
    return tmp_path


def spoil(folder, *, tensors=None, **facts):
    """Write the model again with other tensors and facts, and a checksum that fits."""
    old, model = load_weights(folder)
    save_weights(folder, {**old, **(tensors or {})}, {**model, **facts})


@pytest.mark.parametrize("n_covariates", [0, 2])
def test_a_saved_combat_comes_back_bit_for_bit(n_covariates, tmp_path):
    model = make_model(n_covariates=n_covariates)
    written = save_combat(tmp_path, model, people=PEOPLE, provenance={})
    found = load_combat(tmp_path)
    asked = table(n_covariates=n_covariates)
    assert np.array_equal(found.combat.transform(*asked), model.combat.transform(*asked))
    for name in ("n_people", "grand_mean", "coefficients", "variance", "gamma", "delta"):
        old, new = getattr(model.combat, name), getattr(found.combat, name)
        assert (new.dtype, new.tobytes()) == (old.dtype, old.tobytes())
    assert found.combat.sites == model.combat.sites == ("Site B", "Ulm, Süd")
    assert (found.features, found.fitted_on) == (model.features, model.fitted_on)
    assert list(found.covariates.items()) == list(model.covariates.items())
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_the_description_says_what_was_fitted_and_from_what(saved):
    model = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    assert (model["kind"], model["format_version"], model["run_id"]) == ("combat", 1, "run-1")
    assert model["n_people"] == {"Site B": 12, "Ulm, Süd": 9}
    assert model["features"][2] == "Left-Hippocampus"
    assert model["sites"] == ["Site B", "Ulm, Süd"]
    assert [row["name"] for row in model["covariates"]] == ["age", "male"]
    assert (len(model["sha256"]), model["table_sha256"]) == (64, "ab" * 32)


def test_who_was_fitted_on_can_be_read_by_the_guards_against_leaks(saved):
    assert read_trained_on(saved) == set(PEOPLE)
    told = read_tsv(saved / "training.tsv")
    assert dict(zip(told["participant_id"], told["site"], strict=True)) == PEOPLE


def test_the_card_says_in_words_what_it_is_and_for_whom_it_is_not(saved):
    card = (saved / "README.md").read_text(encoding="utf-8")
    for words in (
        "out of 3 features",
        "21 people of 2 sites",
        "one row a person; controls (diagnosis: HC) only.",
        "age (years); male (1 for men, 0 for women)",
        "| Ulm, Süd | 9 |",
        "lh_cuneus_thickness",
        "unknown; fill in",
        "the sites above alone",
    ):
        assert words in card
    assert "{" not in card


def test_the_card_names_some_of_many_features_and_the_licence(tmp_path):
    rng = np.random.default_rng(0)
    model = CombatModel(
        combat=fit_combat(rng.normal(size=(21, 11)), SITES, np.empty((21, 0))),
        features=tuple(f"f{number}" for number in range(11)),
        covariates={},
        fitted_on="",
    )
    save_combat(tmp_path, model, people=PEOPLE, provenance={"training_data_license": "CC0"})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "f6, f7 and 3 more (`model.json`)" in card
    assert "**Kept**: no covariate." in card
    assert "**Licence of the data**: CC0." in card


def test_saving_again_changes_no_file(saved):
    before = {path: path.read_bytes() for path in saved.iterdir()}
    provenance = {"table_sha256": "ab" * 32, "run_id": "run-1"}
    save_combat(saved, make_model(), people=PEOPLE, provenance=provenance)
    assert {path: path.read_bytes() for path in saved.iterdir()} == before


def test_people_who_are_not_those_of_the_fit_are_refused(tmp_path):
    people = {**PEOPLE, "sub-20": "Site B"}
    with pytest.raises(ValueError, match=r"fitted on .*'Ulm, Süd': 9.* given are .*'Ulm, Süd': 8"):
        save_combat(tmp_path, make_model(), people=people, provenance={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "names", [{"features": ("a", "b")}, {"features": ("a", "b", "b")}, {"covariates": {"age": ""}}]
)
def test_names_that_do_not_fit_the_columns_are_refused(names, tmp_path):
    with pytest.raises(ValueError, match=r"names of covariates and . different ones of features"):
        save_combat(tmp_path, replace(make_model(), **names), people=PEOPLE, provenance={})
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_another_kind_is_named(saved):
    spoil(saved, kind="site_classifier")
    with pytest.raises(UnusableDataError, match="holds a 'site_classifier', expected a 'combat'"):
        load_combat(saved)


def test_an_empty_folder_and_a_cut_file_are_refused(saved, tmp_path):
    with pytest.raises(UnusableDataError, match="nothing: not a model folder"):
        load_combat(tmp_path / "nothing")
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(UnusableDataError, match=r"model\.safetensors: sha256 is"):
        load_combat(saved)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"sites": ["Site B"]},
            r"gamma is float64 \(2, 3\), expected finite float64 \(1, 3",
        ),
        ({"sites": ["Site B", "Oslo"]}, "do not make a ComBat .'Oslo'"),
        ({"n_people": ["Site B"]}, "do not make a ComBat"),
        ({"features": ["a", "b"]}, "2 different ones of features, expected 2 and 3"),
        ({"covariates": [{"name": "age", "coding": "years"}]}, "found 1 names of covariates"),
        ({"features": 3}, "do not make a ComBat"),
    ],
)
def test_a_description_that_does_not_fit_the_numbers_is_refused(facts, said, saved):
    spoil(saved, **facts)
    with pytest.raises(UnusableDataError, match=said):
        load_combat(saved)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"variance": torch.zeros(3, dtype=torch.float64)}, "variance has values that are not ab"),
        (
            {"delta": -torch.ones((2, 3), dtype=torch.float64)},
            "delta has values that are not abov",
        ),
        ({"gamma": torch.full((2, 3), torch.nan, dtype=torch.float64)}, "gamma is float64"),
        ({"grand_mean": torch.zeros(3)}, r"grand_mean is float32 \(3,\), expected finite float64"),
        ({"coefficients": torch.zeros(3, dtype=torch.float64)}, "do not make a ComBat"),
    ],
)
def test_numbers_that_are_no_combat_are_refused(tensors, said, saved):
    spoil(saved, tensors=tensors)
    with pytest.raises(UnusableDataError, match=said):
        load_combat(saved)


def test_a_part_that_is_missing_is_named(saved):
    _, model = load_weights(saved)
    save_weights(saved, {"gamma": torch.zeros(1)}, model)
    with pytest.raises(UnusableDataError, match="grand_mean"):
        load_combat(saved)
