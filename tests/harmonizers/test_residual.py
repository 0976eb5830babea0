"""``cyclegan`` with the classical generator; what holds for all harmonizers is in contract/."""

import numpy as np
import pytest
import torch

from bids_harmonize.errors import UsageError
from bids_harmonize.harmonizers import check_harmonizer_settings, make_harmonizer
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.base import FitReport, TrainingData
from bids_harmonize.harmonizers.model_card import make_card
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from bids_harmonize.networks.residual_generator import ResidualGenerator
from tests.harmonizers.small_study import (
    VOXEL_MM,
    cpu_runtime,
    make_data,
    make_finer,
    make_head,
    make_volumes,
    scan_at,
)

TINY = {
    "generator": "residual", "residual_width": 4, "residual_blocks": 1, "n_iterations": 12,
    "check_every": 12, "learning_rate": 5e-3, "discriminator_learning_rate": 5e-3,
    "cycle_weight": 2.0, "identity_weight": 0.5,
}  # fmt: skip


def make(voxel_size_mm=VOXEL_MM, **settings):
    return make_harmonizer(
        "cyclegan", reference_site="B", source_sites=("A",), voxel_size_mm=voxel_size_mm,
        settings={**TINY, **settings},
    )  # fmt: skip


def fit(harmonizer, data, folder):
    return harmonizer.fit(data, runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    harmonizer = make()
    return harmonizer, fit(harmonizer, make_data(), tmp_path_factory.mktemp("residual"))


def test_neither_local_histograms_nor_smoothness_are_trained_on(trained):
    _, report = trained
    assert report.fell_back == ()
    row = report.rows[-1]
    assert {"cycle", "identity", "adversarial", "discriminator"} <= set(row)
    assert not {"local_histogram", "smoothness"} & set(row)


def test_its_own_weights_are_those_of_the_paper_and_come_with_the_generator_alone():
    own = check_harmonizer_settings("cyclegan", {"generator": "residual"})
    assert (own["adversarial_weight"], own["cycle_weight"], own["identity_weight"]) == (1, 10, 5)
    assert (own["histogram_weight"], own["smoothness_weight"]) == (0, 0)
    assert (own["learning_rate"], own["discriminator_learning_rate"]) == (2e-4, 2e-4)
    assert check_harmonizer_settings("cyclegan", own) == own
    plain = check_harmonizer_settings("cyclegan", {})
    assert (plain["generator"], plain["cycle_weight"]) == ("bilateral", 2)
    with pytest.raises(UsageError, match="residual_width: unknown setting"):
        check_harmonizer_settings("cyclegan", {"residual_width": 8})
    with pytest.raises(UsageError, match="must be one of: bilateral, residual"):
        check_harmonizer_settings("cyclegan", {"generator": "unet"})


def test_outside_the_head_the_input_stays_bit_for_bit_also_once_saved_and_loaded(
    trained, tmp_path
):
    harmonizer, _ = trained
    save_harmonizer(harmonizer, tmp_path, provenance={})
    loaded = load_harmonizer(tmp_path)
    assert loaded.settings == harmonizer.settings
    assert all(isinstance(g, ResidualGenerator) for g in loaded.generators.values())
    tissue, head, brain = make_head(71)
    image = scan_at(tissue, "A") + np.random.default_rng(0).random(tissue.shape, dtype="f4")
    first, second = (
        harmonize_image(one, image, site="A", head_mask=head, brain_mask=brain)
        for one in (harmonizer, loaded)
    )
    assert np.array_equal(first, second)
    assert np.array_equal(first[~head], image[~head])
    assert np.abs(first - image)[head].mean() > 1


def test_the_seed_fixes_the_weights(tmp_path):
    first, second = make(n_iterations=3, check_every=3), make(n_iterations=3, check_every=3)
    for name, one in (("a", first), ("b", second)):
        fit(one, make_data(), tmp_path / name)
    tensors, others = first.capture()[0], second.capture()[0]
    assert len(tensors) == 18  # two generators
    assert all(torch.equal(tensor, others[key]) for key, tensor in tensors.items())


def test_a_finer_study_gets_the_coarse_change_and_keeps_its_own_detail(tmp_path):
    """What the network made at 8 mm is added at 4 mm; the finer pattern of the input stays."""
    coarse = make_volumes(4)
    fine = make_finer(coarse)
    monitor = frozenset({"sub-00", "sub-04"})
    data = TrainingData(native=fine, network=coarse, reference_site="B", monitor=monitor)
    harmonizer = make(voxel_size_mm=VOXEL_MM / 2, n_iterations=8, check_every=8)
    fit(harmonizer, data, tmp_path)
    flat, head, brain = fine.volume(0), fine.head_mask(0), fine.brain_mask(0)
    checks = np.indices(flat.shape).sum(axis=0) % 2 * 2 - 1  # its mean over 2x2x2 is zero
    pattern = np.where(brain, 0.05 * checks, 0).astype(np.float32)
    made, patterned = (
        harmonizer.transform(v, site="A", head_mask=head, brain_mask=brain)
        for v in (flat, flat + pattern)
    )
    assert made.shape == (48, 56, 48)
    assert np.abs(made - flat)[head].mean() > 0.003
    assert np.abs(patterned - made - pattern)[brain].mean() < 0.001
    card = make_card(harmonizer, FitReport(), n_participants={})
    assert "at 8 mm and interpolated to 4 mm" in card


def test_a_training_that_diverges_twice_is_served_by_n4_histogram(tmp_path):
    wild = {"learning_rate": 50.0, "identity_weight": 0.0, "cycle_weight": 0.0}
    harmonizer = make(n_iterations=6, check_every=3, **wild)
    report = fit(harmonizer, make_data(), tmp_path)
    assert report.fell_back == ("A",)
    assert harmonizer.method("A") == "n4_histogram"
    tissue, head, brain = make_head(72)
    made = harmonize_image(
        harmonizer, scan_at(tissue, "A"), site="A", head_mask=head, brain_mask=brain
    )
    assert np.isfinite(made).all()


def test_the_card_says_that_it_can_draw_where_the_other_says_that_it_cannot(trained):
    harmonizer, report = trained
    card = make_card(harmonizer, report, n_participants={"A": 4, "B": 4})
    assert "can draw structure and erase it" in card
    assert "lesion can fade" in card
    assert "cannot draw: no structure" not in card
    assert "interpolated to" not in card
    other = make_harmonizer("cyclegan", reference_site="B", source_sites=("A",), voxel_size_mm=8.0)
    other.high = {"A": 1.0, "B": 300.0}
    card = make_card(other, FitReport(), n_participants={})
    assert "cannot draw: no structure can appear, vanish or move" in card
    assert "can draw structure and erase it" not in card
