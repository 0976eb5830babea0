import numpy as np
import pytest
import torch

from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import TrainingData
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from bids_harmonize.metrics.similarity import psnr
from bids_harmonize.training import pair_training
from tests.harmonizers.small_study import (
    VOXEL_MM,
    cpu_runtime,
    make_data,
    make_finer,
    make_head,
    make_volumes,
    scan_at,
)

SHORT = {"n_iterations": 60, "check_every": 30, "learning_rate": 2e-3, "identity_weight": 0.5}


def make(name="localhistogram", voxel_size_mm=VOXEL_MM, **settings):
    return make_harmonizer(
        name, reference_site="B", source_sites=("A",), voxel_size_mm=voxel_size_mm,
        settings={**SHORT, **settings},
    )  # fmt: skip


def fit(harmonizer, data, folder):
    return harmonizer.fit(data, runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False)


def test_localhistogram_comes_nearer_to_the_truth_than_histogram_matching(tmp_path):
    data = make_data()
    tissue, head, brain = make_head(60)
    volumes = {site: scan_at(tissue, site) for site in "AB"}
    volumes = {s: (v / np.percentile(v[brain], 99)).astype(np.float32) for s, v in volumes.items()}
    scores = {}
    for name in ("identity", "histogram", "localhistogram"):
        harmonizer = make(name, n_iterations=100) if name == "localhistogram" else make_harmonizer(
            name, reference_site="B", source_sites=("A",), voxel_size_mm=VOXEL_MM
        )  # fmt: skip
        fit(harmonizer, data, tmp_path / name)
        made = harmonizer.transform(volumes["A"], site="A", head_mask=head, brain_mask=brain)
        scores[name] = psnr(made, volumes["B"], brain)
    assert scores["localhistogram"] > scores["histogram"] + 2
    assert scores["localhistogram"] > scores["identity"] + 3


def test_a_pair_that_diverges_twice_is_served_by_n4_histogram(tmp_path, monkeypatch):
    def growing(self, direction):
        self.calls = getattr(self, "calls", 0) + 1
        return 0.1 * 4**self.calls

    monkeypatch.setattr(pair_training.PairTraining, "_distance", growing)
    data = make_data()
    harmonizer = make(n_iterations=4, check_every=2)
    report = fit(harmonizer, data, tmp_path)
    assert report.fell_back == ("A",)
    assert "diverged twice" in report.warnings[0]
    assert (harmonizer.method("A"), harmonizer.method("B")) == ("n4_histogram", "localhistogram")
    plain = make_harmonizer("n4_histogram", reference_site="B", source_sites=("A",),
                            voxel_size_mm=VOXEL_MM)  # fmt: skip
    fit(plain, data, tmp_path)
    save_harmonizer(harmonizer, tmp_path / "model", provenance={})
    tissue, head, brain = make_head(61)
    volume = (scan_at(tissue, "A") / 900).astype(np.float32)
    expected = plain.transform(volume, site="A", head_mask=head, brain_mask=brain)
    for one in (harmonizer, load_harmonizer(tmp_path / "model")):
        found = one.transform(volume, site="A", head_mask=head, brain_mask=brain)
        assert np.array_equal(found, expected)


def test_travelling_or_monitor_scans_never_steer_the_other_way(tmp_path):
    """A model is a function of its data: other order of scans, other folder, equal bits."""
    first, second = make(n_iterations=4, check_every=2), make(n_iterations=4, check_every=2)
    fit(first, make_data(), tmp_path / "one")
    fit(second, make_data(), tmp_path / "two")
    for way, generator in first.generators.items():
        other = second.generators[way].state_dict()
        assert all(torch.equal(v, other[k]) for k, v in generator.state_dict().items())


@pytest.mark.parametrize("voxel_size_mm", [VOXEL_MM, VOXEL_MM / 2])
def test_sharpening_is_learnt_only_where_both_grids_are_alike(tmp_path, voxel_size_mm):
    harmonizer = make(voxel_size_mm=voxel_size_mm, n_iterations=2, check_every=2)
    fit(harmonizer, make_data(), tmp_path)
    same = voxel_size_mm == VOXEL_MM
    assert all((g.sharpened_mm is not None) is same for g in harmonizer.generators.values())


def test_the_grid_is_predicted_from_the_coarse_copy_and_sliced_finely(tmp_path):
    """Twice the voxels of every axis: the coarse mean of the fine result is the coarse result."""
    coarse = make_volumes(3)
    fine = make_finer(coarse)
    data = TrainingData(
        native=fine, network=coarse, reference_site="B", monitor=frozenset({"sub-00", "sub-03"})
    )
    harmonizer = make(voxel_size_mm=VOXEL_MM / 2)
    fit(harmonizer, data, tmp_path)
    volume, head, brain = fine.volume(0), fine.head_mask(0), fine.brain_mask(0)
    made = harmonizer.transform(volume, site="A", head_mask=head, brain_mask=brain)
    assert made.shape == (48, 56, 48)
    assert np.abs(made - volume)[head].mean() > 0.03
    assert np.array_equal(made[~head], volume[~head])
    blocks = made.reshape(24, 2, 28, 2, 24, 2)
    assert blocks.std(axis=(1, 3, 5))[coarse.head_mask(0)].mean() < 0.02


@pytest.mark.parametrize("sources", ["pairwise", "joint"])
def test_losses_in_fine_boxes_teach_sharpening_that_a_saved_model_keeps(tmp_path, sources):
    coarse = make_volumes(3)
    fine = make_finer(coarse)
    data = TrainingData(
        native=fine, network=coarse, reference_site="B",
        monitor=frozenset({"sub-00", "sub-03"}), fine=fine,
    )  # fmt: skip
    harmonizer = make_harmonizer(
        "localhistogram", reference_site="B", source_sites=("A",), voxel_size_mm=VOXEL_MM / 2,
        settings={**SHORT, "n_iterations": 6, "check_every": 3}, sources=sources,
    )  # fmt: skip
    fit(harmonizer, data, tmp_path)
    _, learnt = harmonizer.capture()
    sizes = learnt["network_voxel_size_mm"], learnt["loss_voxel_size_mm"]
    assert sizes == (VOXEL_MM, VOXEL_MM / 2)
    save_harmonizer(harmonizer, tmp_path / "model", provenance={})
    again = load_harmonizer(tmp_path / "model")
    volume, head, brain = fine.volume(0), fine.head_mask(0), fine.brain_mask(0)
    made, expected = (
        one.transform(volume, site="A", head_mask=head, brain_mask=brain)
        for one in (again, harmonizer)
    )
    assert np.array_equal(made, expected)
    generator = again.generator if sources == "joint" else again.generators["A", "B"]
    assert generator.sharpened_mm == VOXEL_MM / 2
    torch.nn.init.zeros_(generator.sharpening)
    plain = again.transform(volume, site="A", head_mask=head, brain_mask=brain)
    assert np.abs(plain - made).max() > 1e-4


def test_a_model_from_before_boxes_took_its_losses_where_its_network_saw(tmp_path):
    harmonizer = make(voxel_size_mm=VOXEL_MM / 2, n_iterations=2, check_every=2)
    fit(harmonizer, make_data(), tmp_path)
    tensors, learnt = harmonizer.capture()
    del learnt["loss_voxel_size_mm"]
    again = make(voxel_size_mm=VOXEL_MM / 2)
    again.restore(tensors, learnt)
    assert again.loss_voxel_size_mm == VOXEL_MM
    assert all(g.sharpened_mm is None for g in again.generators.values())


def test_a_training_that_ends_behind_a_baseline_is_told(tmp_path):
    """Two iterations at a tiny rate change nothing, so matching is nearer to the reference."""
    report = fit(make(n_iterations=2, check_every=2, learning_rate=1e-9), make_data(), tmp_path)
    (warning,) = report.warnings
    assert warning.startswith("localhistogram: training between A and B: patches")
    assert report.fell_back == ()
