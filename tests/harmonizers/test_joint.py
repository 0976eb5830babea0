import numpy as np
import pytest

from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.apply import harmonize_image, image_distance
from bids_harmonize.harmonizers.base import FitReport, KnowsDistance
from bids_harmonize.harmonizers.model_card import make_card
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from bids_harmonize.metrics.similarity import psnr
from bids_harmonize.training.joint_training import JointTraining
from tests.harmonizers.small_study import VOXEL_MM, cpu_runtime, make_data, make_head, scan_at

SETTINGS = {"n_iterations": 60, "check_every": 30, "learning_rate": 1e-3}


def make(name="localhistogram", **settings):
    return make_harmonizer(
        name, reference_site="B", source_sites=("A", "C"), voxel_size_mm=VOXEL_MM,
        settings={**SETTINGS, **settings}, sources="joint",
    )  # fmt: skip


def fit(harmonizer, folder) -> FitReport:
    return harmonizer.fit(
        make_data(4, "ABC"), runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False
    )


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    harmonizer = make()
    report = fit(harmonizer, tmp_path_factory.mktemp("joint"))
    assert report.fell_back == ()
    return harmonizer


def rescaled(site, person):
    tissue, head, brain = make_head(person)
    volume = scan_at(tissue, site)
    return np.where(head, volume / np.percentile(volume[brain], 99), 0).astype(np.float32)


@pytest.mark.parametrize(("site", "least_gain_db"), [("A", 8), ("C", 8), ("D", 3)])
def test_every_source_and_a_site_never_seen_come_nearer_to_the_truth(joint, site, least_gain_db):
    _, head, brain = make_head(60)
    volume, truth = rescaled(site, 60), rescaled("B", 60)
    made = joint.transform(volume, site=site, head_mask=head, brain_mask=brain)
    assert psnr(made, truth, brain) > psnr(volume, truth, brain) + least_gain_db


def test_the_generator_leaves_the_reference_alone(joint):
    """Asked as if the scan were of an unseen site, since the reference itself skips it."""
    _, head, brain = make_head(61)
    volume = rescaled("B", 61)
    made = joint.transform(volume, site="like B", head_mask=head, brain_mask=brain)
    assert psnr(made, volume, brain) > 30


def test_an_unseen_scan_is_written_back_in_the_references_units(joint):
    tissue, head, brain = make_head(62)
    image = harmonize_image(
        joint, scan_at(tissue, "D"), site="D", head_mask=head, brain_mask=brain
    )
    wanted = np.percentile(scan_at(tissue, "B")[brain], 99)
    assert np.percentile(image[brain], 99) == pytest.approx(wanted, rel=0.12)
    assert np.array_equal(image[~head], scan_at(tissue, "D")[~head])


def test_the_distance_survives_saving_and_tells_an_odd_scan(joint, tmp_path):
    save_harmonizer(joint, tmp_path, provenance={})
    loaded = load_harmonizer(tmp_path)
    tissue, head, brain = make_head(63)
    plain = scan_at(tissue, "A")
    scans = {"plain": plain, "scaled": plain * np.float32(3), "odd": 900 * head - plain}
    found = {
        name: [image_distance(one, scan, head_mask=head, brain_mask=brain)
               for one in (joint, loaded)]
        for name, scan in scans.items()
    }  # fmt: skip
    assert all(first == second for first, second in found.values())
    assert found["plain"][0] == pytest.approx(found["scaled"][0], rel=1e-4)
    assert found["plain"][0] < 1.5 * joint.usual_distance()
    assert found["odd"][0] > 3 * joint.usual_distance()


def test_only_joint_models_know_a_distance(joint):
    pairwise = make_harmonizer(
        "localhistogram", reference_site="B", source_sites=("A",), voxel_size_mm=VOXEL_MM
    )
    tissue, head, brain = make_head(64)
    assert isinstance(joint, KnowsDistance)
    volume = scan_at(tissue, "A")
    assert image_distance(pairwise, volume, head_mask=head, brain_mask=brain) is None


def test_a_joint_training_that_diverges_twice_is_served_by_n4_histogram(tmp_path, monkeypatch):
    def growing(self):
        self.calls = getattr(self, "calls", 0) + 1
        return {f"distance_{n}": 0.1 * 4**self.calls for n in range(2)}

    monkeypatch.setattr(JointTraining, "_distances", growing)
    harmonizer = make(n_iterations=2, check_every=1)
    report = fit(harmonizer, tmp_path)
    assert report.fell_back == ("A", "C")
    assert [word in report.warnings[1] for word in ("C and B", "diverged twice")] == [True, True]
    assert harmonizer.method("A") == harmonizer.method("new") == "n4_histogram"
    save_harmonizer(harmonizer, tmp_path / "model", provenance={})
    loaded = load_harmonizer(tmp_path / "model")
    _, head, brain = make_head(65)
    for site in ("C", "new"):
        made = [
            one.transform(rescaled("C", 65), site=site, head_mask=head, brain_mask=brain)
            for one in (harmonizer, loaded)
        ]
        assert np.array_equal(*made)
        assert not np.array_equal(made[0], rescaled("C", 65))


def test_the_card_tells_the_one_way_and_the_farthest_training_scan(joint):
    card = make_card(joint, FitReport(), n_participants={"A": 4, "B": 4, "C": 4})
    assert "from any site to B (trained on A, C)" in card
    assert f"the farthest training scan has {joint.usual_distance():.2f}" in card
    assert "knows the sites below and no other" not in card
