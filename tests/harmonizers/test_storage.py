import json

import pytest

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import FitReport
from bids_harmonize.harmonizers.model_card import make_card
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from tests.harmonizers.small_study import cpu_runtime, make_data


@pytest.fixture
def saved(tmp_path):
    harmonizer = make_harmonizer(
        "nyul", reference_site="B", source_sites=("A",), voxel_size_mm=8.0
    )
    harmonizer.fit(make_data(), runtime=cpu_runtime(), seed=0, work_dir=tmp_path, resume=False)
    save_harmonizer(harmonizer, tmp_path, provenance={"random_seed": 3})
    return tmp_path, harmonizer


def test_model_json_says_what_the_weights_are(saved):
    folder, harmonizer = saved
    model = json.loads((folder / "model.json").read_text())
    assert model["name"] == "nyul"
    assert (model["reference_site"], model["source_sites"]) == ("B", ["A"])
    assert (model["scaling_mask"], model["voxel_size_mm"], model["random_seed"]) == ("brain", 8, 3)
    assert model["high_ref"] == pytest.approx(harmonizer.high["B"])
    assert 250 < model["high_ref"] < 400
    assert len(model["sha256"]) == 64


def test_a_changed_weights_file_is_refused(saved):
    folder, _ = saved
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(UnusableDataError, match="sha256"):
        load_harmonizer(folder)


def test_a_model_of_another_kind_is_refused(saved):
    folder, _ = saved
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"nyul"', '"something"'))
    with pytest.raises(UnusableDataError, match="not a harmonizer this version knows"):
        load_harmonizer(folder)


@pytest.mark.parametrize("name", ["nyul", "localhistogram"])
def test_the_card_claims_no_removal(name):
    harmonizer = make_harmonizer(name, reference_site="B", source_sites=("A",), voxel_size_mm=8.0)
    harmonizer.high = {"A": 1.0, "B": 300.0}
    report = FitReport(warnings=("training between A and B diverged twice",))
    card = make_card(harmonizer, report, n_participants={"A": 4, "B": 5})
    assert "may still name" in card
    assert "| A | 4 |" in card
    assert "diverged twice" in card
    assert "Travelling subjects were never used" in card
