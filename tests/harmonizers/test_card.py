import json
import shutil

import numpy as np
import pytest
import torch

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers.card import average_cards, load_cards
from bids_harmonize.harmonizers.card_making import kept_cells, make_card
from bids_harmonize.harmonizers.card_privacy import (
    cumulated,
    distance,
    leave_one_out,
    membership,
    publisher,
)
from bids_harmonize.harmonizers.card_text import card_readme
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms, local_histogram_distance
from tests.harmonizers.card_cases import indices_of, loaded_card, made_card, write_card
from tests.harmonizers.small_study import SHAPE, VOXEL_MM, ArrayVolumes, make_volumes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def people():
    volumes = make_volumes(12)
    measure = LocalHistograms(SHAPE, voxel_size_mm=VOXEL_MM, device=CPU)
    own = [
        measure.measure(as_tensor(volumes.volume(n), CPU), as_tensor(volumes.head_mask(n), CPU))
        for n in indices_of(volumes, "B")
    ]
    return torch.stack(own)


def test_a_card_is_the_mean_of_its_people_in_the_cells_that_ten_fill(people):
    histograms, described = made_card()
    kept = kept_cells(people)
    assert np.allclose(histograms[kept], people.mean(dim=0)[kept], rtol=1e-5, atol=1e-4)
    assert not histograms[~kept].any()
    assert described["emptied_cells"]["n"] == (~kept).sum()
    assert 0 < described["emptied_cells"]["share_of_voxels"] < 0.01
    assert (described["n_people"], described["n_scans"]) == (12, 12)
    assert described["high_ref"] == pytest.approx(324, rel=0.02)


def test_one_person_weighs_once_however_many_scans(people):
    once = make_volumes(12)
    more = [*range(len(once)), *[n for n in indices_of(once, "B")[:1] for _ in range(5)]]
    parts = (once.scans, once.native, once.heads, once.brains)
    twice = ArrayVolumes(*[[part[n] for n in more] for part in parts])
    found, described = make_card(twice, indices_of(twice, "B"), noise=0, seed=0, device=CPU)
    assert torch.allclose(found, made_card()[0], rtol=1e-5, atol=1e-3)
    assert (described["n_people"], described["n_scans"]) == (12, 17)


def test_nine_people_make_no_card():
    with pytest.raises(UnusableDataError, match="needs 10 people, the reference site has 9"):
        made_card(n_people=9)
    assert made_card(n_people=10)[1]["n_people"] == 10


def test_a_cell_of_nine_people_or_mostly_of_one_is_not_published():
    people = torch.zeros((10, 3, 40))
    people[:, 0, 3] = people[:9, 1, 3] = people[:, 2, 3] = 30.0
    people[0, 2, 3] = 300.0
    assert kept_cells(people).tolist() == [True, False, False]


def test_leaving_one_of_n_out_changes_a_mean_by_about_one_in_n_minus_one():
    rng = np.random.default_rng(0)
    for n in (10, 40):
        people = rng.dirichlet(np.ones(24), size=(n, 5))
        people = np.concatenate([people, people[..., :16] + 1e-3], axis=2) * 1000
        found = leave_one_out(people)
        assert found["mean"] == pytest.approx(1 / n, rel=0.25)
        assert found["mean"] < found["largest"] < 3 / n


def test_the_distance_is_that_of_the_training(people):
    first, second = people[0], people.mean(dim=0)
    expected = float(local_histogram_distance(first, second))
    assert distance(first.numpy(), second.numpy()) == pytest.approx(expected, rel=1e-5)


def test_membership_is_a_guess_for_many_alike_people_and_plain_for_few_unlike_ones():
    rng = np.random.default_rng(1)

    def crowd(n, concentration):
        shares = rng.dirichlet(np.full(24, concentration), size=(n, 6))
        return np.concatenate([shares, shares[..., :16] + 1e-3], axis=2) * 1000

    many = membership(crowd(120, 400.0), sigma=0, rng=rng)
    few = membership(crowd(10, 1.0), sigma=0, rng=rng)
    assert many.auc == pytest.approx(0.5, abs=0.06)
    assert few.auc > 0.65
    assert few.auc_informed > 0.8
    blurred = membership(crowd(10, 1.0), sigma=20, rng=rng)
    assert blurred.auc_informed < few.auc_informed - 0.2


def test_noise_is_as_large_as_asked_for_and_leaves_histograms(people):
    arrays = people.numpy().astype(float) * kept_cells(people)[:, None]
    mean = arrays.mean(axis=0)
    moved = {}
    for sigma in (0.5, 2.0):
        noisy = publisher(arrays, sigma=sigma, rng=np.random.default_rng(0))(mean)
        curves = cumulated(noisy)[mean.sum(axis=1) > 0]
        assert noisy.min() >= 0
        assert curves.min() >= 0
        assert curves.max() <= 1 + 1e-9
        assert (np.diff(curves[:, :24], axis=1) >= 0).all()
        moved[sigma] = distance(noisy, mean)
    assert 2 < moved[2.0] / moved[0.5] < 6
    assert not noisy[mean.sum(axis=1) == 0].any()


def test_equal_seeds_give_equal_noise_and_others_another():
    first, again, other = (made_card(noise=1.0, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, made_card()[0])


def test_a_card_comes_back_from_disk_with_equal_bits(tmp_path):
    card = loaded_card(tmp_path / "card", noise=0.5)
    assert torch.equal(card.histograms, made_card(noise=0.5)[0])
    assert (card.reference_site, card.n_people, card.shape) == ("B", 12, SHAPE)
    assert card.sources[0]["card_noise"] == 0.5
    model = json.loads((tmp_path / "card" / "model.json").read_text())
    assert card.sources[0]["sha256"] == model["sha256"]
    size = sum(path.stat().st_size for path in (tmp_path / "card").iterdir())
    assert size < 25_000


def test_everything_wrong_with_several_cards_is_told_at_once(tmp_path):
    good = write_card(tmp_path / "good")
    write_card(tmp_path / "few", changed={"n_people": 4})
    write_card(tmp_path / "old", changed={"card_version": 0})
    write_card(tmp_path / "lacks", changed={"kind": "something"})
    write_card(tmp_path / "grid", name="C", changed={"shape": [48, 56, 48]})
    write_card(tmp_path / "minus", histograms=-made_card()[0])
    shutil.copytree(good, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    names = ("few", "old", "lacks", "grid", "minus", "cut", "nowhere")
    cards, faults = load_cards(tmp_path / name for name in ("good", *names))
    assert len(cards) == 1
    told = "\n".join(faults)
    for name, words in {
        "few": "made from 4 people, at least 10 needed",
        "old": "card_version is 0, this app reads 1",
        "lacks": "holds 'something', not a card",
        "grid": "found 80 x 40 numbers, its grid has",
        "minus": "no histograms",
        "cut": "sha256 is",
        "nowhere": "not a model folder",
    }.items():
        assert any(str(tmp_path / name) in fault and words in fault for fault in faults), told


def test_cards_of_one_site_or_of_other_masks_are_not_averaged(tmp_path):
    folders = [write_card(tmp_path / "one"), write_card(tmp_path / "two")]
    folders.append(write_card(tmp_path / "head", name="C", changed={"scaling_mask": "head"}))
    _, faults = load_cards(folders)
    assert len(faults) == 2
    assert "several cards of B" in faults[0]
    assert "C on 24 x 28 x 24 voxels of 8 mm, scaled in the head" in faults[1]


def test_a_virtual_reference_weighs_its_cards_equally(tmp_path):
    one = loaded_card(tmp_path / "one", name="Oslo", changed={"high_ref": 100.0})
    two = loaded_card(
        tmp_path / "two", name="Kyoto", site="A", n_people=20, changed={"high_ref": 400.0}
    )
    both = average_cards([one, two])
    assert both.reference_site == "Kyoto+Oslo"
    filled = (one.histograms.sum(dim=1) > 0) & (two.histograms.sum(dim=1) > 0)
    middle = (one.histograms + two.histograms)[filled] / 2
    assert torch.allclose(both.histograms[filled], middle)
    assert not both.histograms[~filled].any()
    assert both.high_ref == pytest.approx(200)
    assert both.n_people == 32
    assert torch.equal(both.histograms, average_cards([two, one]).histograms)


def test_the_readme_tells_people_size_and_both_membership_figures(tmp_path):
    write_card(tmp_path / "card", noise=1.5)
    model = json.loads((tmp_path / "card" / "model.json").read_text())
    text = card_readme(model, n_bytes=14_200)
    assert "12 (12 scans; each person weighs once)" in text
    assert "14.2 kB" in text
    assert "CC0-1.0" in text
    assert f"AUC {model['membership']['auc']:.2f}" in text
    assert f"AUC {model['membership']['auc_informed']:.2f}" in text
    assert "1.5 times what leaving one person out changes" in text
    assert "not a guarantee" in text
    told = {**model, "membership": {**model["membership"], "auc_informed": 0.95}}
    assert "can often tell" in card_readme(told, n_bytes=1)
    assert "can often tell" not in card_readme(
        {**model, "membership": {**model["membership"], "auc_informed": 0.55}}, n_bytes=1
    )
