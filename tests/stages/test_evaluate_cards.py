"""What was measured of a model: the figures, and where they stand on its card."""

import json

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.files import write_json
from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import FitReport
from bids_harmonize.stages.evaluation.cards import measured
from bids_harmonize.stages.harmonization.files import EVALUATION, swap, write_card, write_model
from tests.harmonizers.small_study import cpu_runtime, make_data

NO_PEOPLE = pd.DataFrame(
    columns=[
        *("participant_id", "source_site", "target_site", "kind", "method", "mask", "metric"),
        "value",
    ]
)
NO_PROBES = pd.DataFrame(
    columns=["method", "probe", "sites", "balanced_accuracy", "low", "high", "chance", "n"]
)
NO_LESIONS = pd.DataFrame(columns=["method", "lesion", "participant_id", "contrast", "volume"])


def travelling(gains, *, raw=20.0):
    """Brain PSNR of nyul and identity of people with these gains, dB."""
    rows = []
    for number, gain in enumerate(gains):
        facts = {"participant_id": f"sub-{number}", "source_site": "A", "target_site": "B"}
        facts |= {"kind": "direct", "mask": "brain", "metric": "psnr"}
        rows += [
            {**facts, "method": method, "value": value}
            for method, value in (("identity", raw), ("nyul", raw + gain))
        ]
    return pd.DataFrame(rows)


def probes(**accuracies):
    """Two reseeded probes a method, and one frozen one that must not count."""
    rows = []
    for method, values in accuracies.items():
        for value in values:
            row = {"method": method, "balanced_accuracy": value, "low": value - 0.1}
            row["sites"] = "all"
            row |= {"high": value + 0.1, "chance": 0.5, "n": 24}
            rows.append({**row, "probe": "reseeded"})
        rows.append({**row, "probe": "frozen", "balanced_accuracy": 0.5})
    return pd.DataFrame(rows)


def figures(method, people=NO_PEOPLE, probes=NO_PROBES, lesions=NO_LESIONS):
    return measured(method, people, probes, lesions, rng=np.random.default_rng(0))


@pytest.fixture
def model(tmp_path):
    harmonizer = make_harmonizer(
        "nyul", reference_site="B", source_sites=("A",), voxel_size_mm=8.0
    )
    harmonizer.fit(make_data(), runtime=cpu_runtime(), seed=0, work_dir=tmp_path, resume=False)
    people = pd.DataFrame({"participant_id": ["sub-1", "sub-2", "sub-3"], "site": ["A", "B", "B"]})

    def write(folder, **provenance):
        write_model(
            folder,
            harmonizer,
            FitReport(warnings=("nyul: odd",)),
            training=people.assign(filename="x", sha256="0"),
            splits=people.assign(split="train", half=None),
            provenance={"grid": {"shape": [24, 28, 24], "voxel_size_mm": 8.0}, **provenance},
        )
        return harmonizer

    return write


def test_the_gain_is_the_mean_over_people_with_its_interval():
    gains = [1.0, 2.0, 3.0, 2.0]
    found = figures("nyul", travelling(gains))["gain"]
    assert found["mean"] == pytest.approx(2.0)
    assert found["n"] == 4
    assert 1.2 < found["low"] < 1.6
    assert 2.4 < found["high"] < 2.8


def test_the_probe_is_the_mean_of_those_trained_afresh_before_and_after():
    frame = probes(identity=(0.98, 1.0), nyul=(0.9, 0.94))
    found = figures("nyul", probes=frame)["probe"]
    assert found["before"] == pytest.approx({"mean": 0.99, "low": 0.89, "high": 1.09})
    assert found["after"] == pytest.approx({"mean": 0.92, "low": 0.82, "high": 1.02})
    assert (found["chance"], found["n"], found["n_probes"]) == (0.5, 24, 2)


def test_the_probe_of_a_card_is_of_the_kind_that_names_the_site_best():
    frame = probes(identity=(0.98, 1.0), nyul=(0.7, 0.74))
    longer = frame[frame["probe"] == "reseeded"].assign(probe="converged")
    longer.loc[longer["method"] == "nyul", "balanced_accuracy"] = 0.8
    alone = longer.assign(sites="sources", balanced_accuracy=1.0)
    frame = pd.concat([frame, longer, alone])
    found = figures("nyul", probes=frame)["probe"]
    assert found["kind"] == "converged"
    assert found["after"]["mean"] == pytest.approx(0.8)
    assert found["before"]["mean"] == pytest.approx(0.99)


def test_raw_images_speak_by_short_trainings_where_these_name_everybody():
    """No network is then trained long on them, and long ones name the site of others best."""
    frame = probes(identity=(1.0, 1.0), nyul=(0.7, 0.74))
    longer = probes(nyul=(0.8, 0.9)).query("probe == 'reseeded'").assign(probe="converged")
    found = figures("nyul", probes=pd.concat([frame, longer]))["probe"]
    assert (found["kind"], found["n_probes"]) == ("converged", 2)
    assert found["after"]["mean"] == pytest.approx(0.85)
    assert found["before"] == pytest.approx({"mean": 1.0, "low": 0.9, "high": 1.1})


def test_lesions_stand_on_the_card_by_kind(model, tmp_path):
    rows = [
        {"method": "nyul", "lesion": kind, "participant_id": f"sub-{n}", "contrast": contrast,
         "volume": 0.9 + 0.1 * n}
        for kind, contrast in (("dark", 0.9), ("bright", 1.1))
        for n in (1, 2, 3)
    ]  # fmt: skip
    found = figures("nyul", lesions=pd.DataFrame(rows))
    assert found["lesions"]["contrast"] == pytest.approx({"bright": 1.1, "dark": 0.9})
    assert found["lesions"]["volume"] == pytest.approx({"bright": 1.1, "dark": 1.1})
    assert found["lesions"]["n"] == 3
    folder = tmp_path / "nyul_to-B"
    harmonizer = model(folder)
    write_json(folder / EVALUATION, found)
    write_card(folder, harmonizer)
    card = (folder / "README.md").read_text()
    assert "Put into the scans of 3 people, a bright lesion kept 1.10 of its contrast" in card
    write_json(folder / EVALUATION, figures("nyul"))
    write_card(folder, harmonizer)
    assert "lesion kept" not in (folder / "README.md").read_text()


def test_what_cannot_be_measured_has_a_reason():
    found = figures("nyul", probes=probes(identity=(1.0,)))
    assert found["gain"] == {"reason": "no travelling subject was scored"}
    assert "no probe was trained afresh" in found["probe"]["reason"]
    one = figures("nyul", travelling([1.0]))["gain"]
    assert one == {"reason": "1 travelling subject(s) were scored, two are needed"}


def test_a_card_says_that_nothing_was_measured_until_it_was(model, tmp_path):
    folder = tmp_path / "nyul_to-B"
    harmonizer = model(folder)
    card = (folder / "README.md").read_text()
    assert "the stage `evaluate` has not looked at this model" in card
    frame = probes(identity=(0.98, 1.0), nyul=(0.9, 0.94))
    write_json(folder / EVALUATION, figures("nyul", travelling([1.0, 3.0]), frame))
    write_card(folder, harmonizer)
    card = (folder / "README.md").read_text()
    assert "has not looked" not in card
    assert "A freshly trained site probe (the site classifier's network) was right on" in card
    assert "right on 0.92 (0.82 to 1.02) of harmonized images" in card
    assert "and on 0.99 (0.89 to 1.09) of images that were not; chance is 0.50" in card
    assert "On 2 travelling subjects the harmonized image was +2.00 dB (+1.00 to +3.00" in card
    assert "nyul: odd" in card
    assert "| B | 2 |" in card


def test_licence_grid_and_preprocessing_stand_on_the_card(model, tmp_path):
    model(tmp_path / "known", training_data_license="CC0",
          preprocessing={"bias_correction": "n4"})  # fmt: skip
    model(tmp_path / "unknown")
    known, unknown = ((tmp_path / name / "README.md").read_text() for name in ("known", "unknown"))
    assert "## Licence of the training data\nCC0\n" in known
    assert "## Licence of the training data\nunknown; fill in" in unknown
    assert "at 8 mm on 24 x 28 x 24 voxels, on images made with `--bias-correction n4`" in known
    assert "bias-correction" not in unknown


def test_a_model_that_is_fitted_again_loses_the_figures_of_the_old_one(model, tmp_path):
    final = tmp_path / "out" / "models" / "nyul_to-B"
    model(final)
    (final / EVALUATION).write_text(
        json.dumps({"probe": {"reason": "x"}, "gain": {"reason": "y"}})
    )
    waiting = tmp_path / "new" / "models" / "nyul_to-B"
    model(waiting)
    swap(tmp_path / "new", tmp_path / "out", [waiting])
    assert not (final / EVALUATION).exists()
    assert "has not looked at this model" in (final / "README.md").read_text()
