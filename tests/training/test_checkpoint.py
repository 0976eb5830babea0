"""Weights on disk."""

import json

import pytest
import torch

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.training.checkpoint import load_weights, save_checkpoint, save_weights

TENSORS = {"a": torch.arange(6.0).reshape(2, 3).t(), "b": torch.tensor([1], dtype=torch.int64)}


def test_weights_come_back_bit_for_bit(tmp_path):
    save_weights(tmp_path, TENSORS, {"sites": ["A", "B"]})
    tensors, model = load_weights(tmp_path)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert model["sites"] == ["A", "B"]
    assert (model["format_version"], len(model["sha256"])) == (1, 64)


def test_equal_weights_give_an_equal_file(tmp_path):
    for name in ("one", "two"):
        save_weights(tmp_path / name, TENSORS, {})
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]


def test_changed_weights_are_refused(tmp_path):
    save_weights(tmp_path, TENSORS, {})
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UnusableDataError, match="sha256"):
        load_weights(tmp_path)


def test_another_format_is_refused(tmp_path):
    save_weights(tmp_path, TENSORS, {})
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(UnusableDataError, match="format_version is 99"):
        load_weights(tmp_path)


def test_a_description_that_is_no_object_is_refused(tmp_path):
    save_weights(tmp_path, TENSORS, {})
    (tmp_path / "model.json").write_text("[1, 2]")
    with pytest.raises(UnusableDataError, match="format_version is None, expected 1"):
        load_weights(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UnusableDataError, match="not a model folder"):
        load_weights(tmp_path / "nothing")


def test_a_checkpoint_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    for value in (1, 2):
        save_checkpoint(tmp_path / "state.pt", {"value": value})
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
