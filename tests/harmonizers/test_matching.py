import numpy as np
import pytest

from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.matching import match_curve
from tests.harmonizers.small_study import VOXEL_MM, cpu_runtime, make_data, make_head, scan_at


def fit(name, folder, **settings):
    harmonizer = make_harmonizer(
        name, reference_site="B", source_sites=("A",), voxel_size_mm=VOXEL_MM, settings=settings
    )
    harmonizer.fit(make_data(), runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False)
    return harmonizer


def test_matching_undoes_a_tone_curve():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 1.0, 20_000).astype(np.float32)
    percents = (np.arange(200) + 0.5) / 2
    seen = truth**0.6
    matched = match_curve(seen, np.percentile(seen, percents), np.percentile(truth, percents))
    assert np.abs(matched - truth).max() < 0.01
    assert np.abs(seen - truth).max() > 0.15


def test_matching_never_swaps_two_intensities():
    values = np.linspace(0, 2, 500, dtype=np.float32)
    matched = match_curve(values, np.array([0.2, 0.4, 0.4, 1.0]), np.array([0.1, 0.3, 0.5, 0.8]))
    assert (np.diff(matched) >= 0).all()


@pytest.mark.parametrize(("name", "n_landmarks"), [("nyul", 11), ("histogram", 200)])
def test_the_curve_of_a_site_is_the_mean_over_its_scans(name, n_landmarks, tmp_path):
    harmonizer = fit(name, tmp_path)
    data = make_data()
    volumes = [data.native.volume(n)[data.native.brain_mask(n)] for n in data.of_site("A")]
    expected = np.mean([np.percentile(v, harmonizer.percentiles) for v in volumes], axis=0)
    assert harmonizer.curves["A"].shape == (n_landmarks,)
    assert np.allclose(harmonizer.curves["A"], expected)


def test_n4_takes_a_field_out_that_the_histogram_cannot_touch(tmp_path):
    tissue, head, brain = make_head(30)
    volume = scan_at(tissue, "A") / np.percentile(scan_at(tissue, "A")[brain], 99)
    middle = brain & (np.abs(np.arange(24) - 11.5) < 7)[:, None, None]

    def tilt(image):
        return np.polyfit(np.nonzero(middle)[0], np.log(image[middle]), 1)[0]

    tilts = {
        name: tilt(
            fit(name, tmp_path).transform(volume, site="A", head_mask=head, brain_mask=brain)
        )
        for name in ("identity", "n4")
    }
    assert tilts["identity"] == pytest.approx(0.02, abs=0.004)
    assert abs(tilts["n4"]) < 0.35 * tilts["identity"]


def test_another_number_of_landmarks_is_used(tmp_path):
    assert fit("nyul", tmp_path, landmarks=(5, 50, 95)).curves["B"].shape == (3,)
