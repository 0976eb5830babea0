import numpy as np
import pytest
import torch

from bids_harmonize.errors import DirectionError
from bids_harmonize.harmonizers import check_harmonizer_settings
from bids_harmonize.harmonizers.base import Frame, TrainingData
from bids_harmonize.harmonizers.card import load_cards
from bids_harmonize.harmonizers.card_localhistogram import CardLocalHistogram
from bids_harmonize.harmonizers.model_card import make_card as make_model_card
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from bids_harmonize.metrics.similarity import psnr
from bids_harmonize.training import card_training, pairs
from bids_harmonize.training.card_run import train_on_card
from bids_harmonize.training.card_training import CardSettings, CardTarget
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms
from bids_harmonize.training.pair_data import REFERENCE, SOURCE, PairData, PairSettings
from bids_harmonize.training.pairs import PairRun, train_pair
from bids_harmonize.training.views import SelectedVolumes
from tests.harmonizers.card_cases import indices_of, loaded_card, write_card
from tests.harmonizers.small_study import (
    VOXEL_MM,
    cpu_runtime,
    make_head,
    make_volumes,
    scan_at,
)

SHORT = {"n_iterations": 60, "check_every": 30, "learning_rate": 2e-3}


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    return loaded_card(tmp_path_factory.mktemp("card"))


def local_data(n_people=6):
    """Site A alone, as the receiving hospital has it; other people than those of the card."""
    volumes = make_volumes(n_people)
    own = SelectedVolumes(volumes, indices_of(volumes, "A"))
    return TrainingData(
        native=own,
        network=own,
        reference_site="B",
        monitor=frozenset({"sub-00", "sub-01"}),
        reference_high=325.0,
    )


def make(card, **settings):
    own = check_harmonizer_settings("localhistogram", {**SHORT, **settings})
    return CardLocalHistogram(Frame("B", ("A",), VOXEL_MM, "brain"), own, card)


def fit(harmonizer, folder, data=None, *, resume=False):
    return harmonizer.fit(
        data or local_data(), runtime=cpu_runtime(), seed=0, work_dir=folder, resume=resume
    )


@pytest.fixture(scope="module")
def fitted(card, tmp_path_factory):
    harmonizer = make(card)
    report = fit(harmonizer, tmp_path_factory.mktemp("fit"))
    return harmonizer, report


def run_in(folder):
    return PairRun(name="test", folder=folder, resume=False, fingerprint="")


def test_training_on_the_card_equals_training_on_the_images_bit_for_bit(tmp_path, card):
    """Show 8: the same people, seed and terms; what needs images of the reference is off."""
    volumes = make_volumes(12)
    places = {SOURCE: tuple(indices_of(volumes, "A")), REFERENCE: tuple(indices_of(volumes, "B"))}
    data = PairData(volumes, train=places, monitor=places)
    common = {"n_iterations": 6, "check_every": 6, "learning_rate": 2e-3}
    options = {"runtime": cpu_runtime(), "seed": 5, "sharpens": True}
    measure = LocalHistograms(volumes.shape, voxel_size_mm=VOXEL_MM, device=torch.device("cpu"))
    target = torch.zeros(())
    for index in places[REFERENCE]:
        volume, head = (as_tensor(array, torch.device("cpu")) for array in data.load(index))
        target = target + measure.measure(volume, head)
    target = target / len(places[REFERENCE])
    kept = card.histograms.sum(dim=1) > 0
    assert torch.equal(card.histograms[kept], target[kept])
    # The card's emptied cells are emptied for the images too; nothing else is touched.
    whole = train_pair(
        data,
        PairSettings(**common, identity_weight=0.0, splits_differences=False),
        run=run_in(tmp_path / "pair"),
        **options,
    )
    emptied = CardTarget(target * kept[:, None], card.person_distance)
    found = {
        name: train_on_card(
            data, one, CardSettings(**common), run=run_in(tmp_path / name), **options
        )
        for name, one in (("card", card.target), ("emptied", emptied),
                          ("all", CardTarget(target, card.person_distance)))
    }  # fmt: skip
    for name, tensor in found["all"].weights.items():
        assert torch.equal(tensor, whole.weights["to_reference"][name]), name
        assert torch.equal(found["card"].weights[name], found["emptied"].weights[name]), name
    moved = found["all"].rows
    assert moved[-1]["distance_to_reference"] < moved[0]["distance_to_reference"]


def test_a_card_brings_a_scan_nearer_to_the_truth_than_scaling(fitted):
    harmonizer, report = fitted
    assert report.warnings == ()
    gains = []
    for person in (60, 61, 62):
        tissue, head, brain = make_head(person)
        scans = {site: scan_at(tissue, site) for site in "AB"}
        scans = {s: (v / np.percentile(v[brain], 99)).astype(np.float32) for s, v in scans.items()}
        made = harmonizer.transform(scans["A"], site="A", head_mask=head, brain_mask=brain)
        assert np.array_equal(made[~head], scans["A"][~head])
        gains.append(psnr(made, scans["B"], brain) - psnr(scans["A"], scans["B"], brain))
    assert np.mean(gains) > 3


def test_the_curve_ends_near_where_the_cards_own_people_lie(fitted, card):
    _, report = fitted
    distances = [row["distance_to_reference"] for row in report.rows]
    assert distances[0] > 3 * card.person_distance
    assert distances[-1] < 2 * card.person_distance


def test_the_only_way_is_to_the_reference(fitted):
    harmonizer, _ = fitted
    tissue, head, brain = make_head(60)
    volume = scan_at(tissue, "B")
    same = harmonizer.transform(volume, site="B", head_mask=head, brain_mask=brain)
    assert same is volume
    with pytest.raises(DirectionError, match="trained on the card of B"):
        harmonizer.transform(volume, site="B", to_site="A", head_mask=head, brain_mask=brain)


def test_saved_and_loaded_it_gives_equal_bits_and_names_its_card(fitted, card, tmp_path):
    harmonizer, report = fitted
    save_harmonizer(harmonizer, tmp_path, provenance={})
    loaded = load_harmonizer(tmp_path)
    tissue, head, brain = make_head(63)
    volume = (scan_at(tissue, "A") / 900).astype(np.float32)
    made = [
        one.transform(volume, site="A", head_mask=head, brain_mask=brain)
        for one in (harmonizer, loaded)
    ]
    assert np.array_equal(*made)
    assert loaded.cards == [dict(card.sources[0])]
    assert loaded.high == {"B": 325.0, "A": harmonizer.high["A"]}
    text = make_model_card(loaded, report, n_participants={"A": 6})
    assert card.sources[0]["sha256"] in text
    assert "No image of the reference was seen" in text
    assert "to B only" in text
    assert "| B | 0 |" not in text


def test_a_resumed_training_ends_with_the_same_bits(card, tmp_path, monkeypatch):
    whole, broken = make(card, n_iterations=8, check_every=4), None
    fit(whole, tmp_path / "whole")
    step = card_training.CardTraining.step

    def dying(self, iteration):
        if iteration == 6:
            raise KeyboardInterrupt
        return step(self, iteration)

    monkeypatch.setattr(card_training.CardTraining, "step", dying)
    broken = make(card, n_iterations=8, check_every=4)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, tmp_path / "broken")
    seen = []

    def counting(self, iteration):
        seen.append(iteration)
        return step(self, iteration)

    monkeypatch.setattr(card_training.CardTraining, "step", counting)
    fit(broken, tmp_path / "broken", resume=True)
    assert seen == [4, 5, 6, 7]
    weights = broken.generators["A"].state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in whole.generators["A"].state_dict().items())


def test_a_site_that_diverges_twice_is_only_scaled_and_said(card, tmp_path, monkeypatch):
    def growing(self):
        self.calls = getattr(self, "calls", 0) + 1
        return 0.1 * 4**self.calls

    monkeypatch.setattr(card_training.CardTraining, "distance", growing)
    harmonizer = make(card, n_iterations=4, check_every=2)
    report = fit(harmonizer, tmp_path)
    assert report.fell_back == ("A",)
    assert {row["attempt"] for row in report.rows} == {1, pairs.N_ATTEMPTS}
    assert "diverged twice; its scans are only scaled" in report.warnings[0]
    assert harmonizer.method("A") == "identity"
    tissue, head, brain = make_head(64)
    volume = scan_at(tissue, "A")
    made = harmonizer.transform(volume, site="A", head_mask=head, brain_mask=brain)
    assert np.array_equal(made, volume)


def test_a_training_that_comes_no_nearer_is_told(card, tmp_path):
    report = fit(make(card, n_iterations=2, check_every=2, learning_rate=1e-12), tmp_path)
    (warning,) = report.warnings
    assert "the monitor scans came no nearer to it" in warning
    assert f"its own people lie at {card.person_distance:.3f}" in warning
    assert report.fell_back == ()


def test_another_card_is_not_gone_on_from(card, tmp_path, monkeypatch):
    fit(make(card, n_iterations=4, check_every=2), tmp_path / "work")
    steps = []
    step = card_training.CardTraining.step
    monkeypatch.setattr(
        card_training.CardTraining, "step", lambda self, n: steps.append(n) or step(self, n)
    )
    fit(make(card, n_iterations=4, check_every=2), tmp_path / "work", resume=True)
    assert steps == []
    (other,), _ = load_cards([write_card(tmp_path / "other", noise=1.0)])
    fit(make(other, n_iterations=4, check_every=2), tmp_path / "work", resume=True)
    assert steps == [0, 1, 2, 3]
