"""The mask benchmark itself: its shell is what it says, and a small run of it holds."""

import numpy as np
import pytest
from scipy import ndimage

from tests.benchmarks.bench_masks import phantom_case, shell_case, summarise
from tests.benchmarks.mask_cases import Row
from tests.benchmarks.synthetic_shell import Shell, draw_shell, put_in_shell
from tests.imaging.heads import world_points


@pytest.fixture(scope="module")
def brain():
    """A smooth brain of 1.3 L at 4 mm, 0 outside."""
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (-90.0, -110.0, -80.0)
    x, y, z = world_points((46, 56, 42), affine)
    inside = (x / 62) ** 2 + (y / 80) ** 2 + (z / 62) ** 2 < 1
    return np.where(inside, 900 + x, 0).astype(np.float32), affine


def _shelled(brain, shell, seed=0):
    volume, affine = brain
    rng = np.random.default_rng(seed)
    return put_in_shell(volume, affine, shell, rng, resolution_mm=4.0)


def test_the_shell_keeps_the_brain_and_darkens_the_skull(brain):
    volume, truth, grid = _shelled(brain, Shell(coil=0.0, noise=0.0, csf_mm=4.0, skull_mm=8.0))
    litres = truth.sum() * 64e-6
    assert litres == pytest.approx((brain[0] > 0).sum() * 64e-6, rel=0.03)
    distance = ndimage.distance_transform_edt(~truth, sampling=4.0)
    upper = np.zeros(truth.shape, bool)
    top = np.flatnonzero(truth.any(axis=(0, 1)))
    upper[:, :, top[len(top) // 2] :] = True
    deep = ndimage.binary_erosion(truth, iterations=2)
    white = float(np.median(volume[deep]))
    assert white == pytest.approx(900, rel=0.05)
    skull = upper & (distance > 5) & (distance < 10)
    scalp = upper & (distance > 13) & (distance < 16)
    air = upper & (distance > 30)
    assert np.median(volume[skull]) / white == pytest.approx(0.25, abs=0.2)
    assert np.median(volume[scalp]) / white == pytest.approx(1.15, abs=0.3)
    assert np.abs(volume[air]).max() / white < 0.01
    assert (np.array(grid.voxel_size_mm) == 4.0).all()


def test_equal_draws_give_equal_shells_and_others_differ(brain):
    one, again, other = (
        _shelled(brain, draw_shell(np.random.default_rng(7)), seed=s) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one[0], again[0])
    assert np.abs(one[0] - other[0]).max() > 10
    assert draw_shell(np.random.default_rng(1)) != draw_shell(np.random.default_rng(2))


def _row(head, brain, confidence):
    return Row("case", head, brain, 0, 0, 1.4, False, 1, 1, 1.0, confidence, "")


@pytest.mark.parametrize(
    ("rows", "n_missed"),
    [
        ([_row(0.95, 0.96, 1.0)], 0),
        ([_row(0.95, 0.90, 1.0)], 1),
        ([_row(0.95, 0.90, 0.4)], 0),
        ([_row(0.90, 0.90, 0.4)], 1),
    ],
)
def test_only_a_miss_that_the_app_did_not_flag_counts(rows, n_missed, capsys):
    assert summarise(rows, head_target=0.94, brain_target=0.95) == n_missed
    assert "not flagged" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("site", [1, 4])
def test_a_phantom_at_3_mm_reaches_its_target(site):
    row = phantom_case("mixed", 300, "bench00", site, 3.0)
    assert row.head > 0.95
    assert row.brain > 0.96
    assert not row.brain_flagged, row.flags


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sub-01", "sub-54"])
def test_a_real_brain_is_found_in_its_shell(real_data, name):
    path = real_data / f"real-skullstripped/{name}/anat/{name}_T1w.nii.gz"
    row = shell_case(path, 0, 2.0)
    assert row.brain > 0.92
    assert not row.brain_flagged, row.flags
