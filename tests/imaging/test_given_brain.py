import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.atlases import load_template
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.brainmask import BrainResult, find_brain
from bids_harmonize.imaging.given_brain import find_beside_given, judge_given_brain
from tests.preprocessing.brains import make_brainy_head

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
SHAPE = (48, 56, 48)


def ball(radius_mm, *, centre=(24, 28, 24), shape=SHAPE):
    voxels = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return np.linalg.norm((voxels - centre) * 4.0, axis=-1) < radius_mm


def judge(mask, *, mask_affine=AFFINE, correlation=0.7):
    brain = ball(69)  # 1.38 litres
    own = BrainResult(
        mask=brain,
        template_affine=np.eye(4),
        volume_litres=float(brain.sum() * 64e-6),
        correlation=correlation,
        doubtful=False,
        flags=(),
        confidence=1.0,
    )
    return judge_given_brain(mask, mask_affine, own, ball(90), AFFINE), brain


def test_a_mask_like_the_templates_is_trusted_and_kept_as_it_is():
    found, brain = judge(ball(70))
    assert (found.doubtful, found.flags, found.given_used) == (False, (), True)
    np.testing.assert_array_equal(found.mask, ball(70))
    dice = 2 * (ball(70) & brain).sum() / (ball(70).sum() + brain.sum())
    assert dice > 0.97
    assert found.confidence == 1.0
    assert found.volume_litres == pytest.approx(ball(70).sum() * 64e-6)


@pytest.mark.parametrize(
    ("mask", "correlation", "reason"),
    [
        (ball(55), 0.7, "L, outside 0.9-2.0 L"),
        (ball(83), 0.7, "given brain mask 2.40 L, outside 0.9-2.0 L"),
        (ball(69, centre=(24, 37, 24)), 0.7, "of the given brain mask lies outside the head"),
        (ball(69, centre=(24, 30, 28)), 0.7, "differs from the template's, Dice 0.8"),
        (ball(70), 0.4, "correlation with the template 0.40, under 0.55"),
    ],
)
def test_each_doubt_has_its_reason(mask, correlation, reason):
    found, _ = judge(mask, correlation=correlation)
    assert found.doubtful
    assert found.confidence < 0.5
    assert any(reason in flag for flag in found.flags), found.flags
    np.testing.assert_array_equal(found.mask, mask & ball(90))


def test_a_mask_of_another_place_is_not_used():
    found, brain = judge(np.roll(ball(69), 24, axis=1))
    assert not found.given_used
    assert found.doubtful
    assert found.confidence == 0
    assert any("so the template's mask was taken" in flag for flag in found.flags)
    np.testing.assert_array_equal(found.mask, brain)


def test_a_mask_on_another_grid_is_laid_in_the_same_world():
    affine = np.diag([-4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (4.0 * (SHAPE[0] - 1) + 8.0, 12.0, 0.0)
    moved = np.roll(ball(70), (-2, -3, 0), axis=(0, 1, 2))[::-1]
    found, _ = judge(moved, mask_affine=affine)
    np.testing.assert_array_equal(found.mask, ball(70))
    assert not found.doubtful


def test_an_empty_mask_is_doubtful_and_not_used():
    found, brain = judge(np.zeros(SHAPE, np.bool_))
    assert (found.doubtful, found.confidence) == (True, 0.0)
    np.testing.assert_array_equal(found.mask, brain)


@pytest.fixture
def no_search(monkeypatch):
    """The template's search in a whole head fails, as on an image that it cannot register."""

    def fail(*words, skull_stripped=False):
        if not skull_stripped:
            raise ScanError("the images could not be registered")
        return find_brain(*words, skull_stripped=True)

    monkeypatch.setattr("bids_harmonize.imaging.given_brain.find_brain", fail)


def test_a_given_mask_stands_where_the_templates_search_fails(no_search):
    head = make_brainy_head()
    inside = ndimage.binary_dilation(head.brain, iterations=4)
    scan = (head.volume, head.affine, inside, load_template(2.0))
    found = find_beside_given(head.brain, head.affine, *scan)
    np.testing.assert_array_equal(found.mask, head.brain)
    assert (found.given_used, found.doubtful) == (True, False)
    assert found.flags == (
        "the given brain mask stands alone, as the template's search failed: the images could not"
        " be registered",
    )
    assert np.abs(np.diag(found.template_affine)[:3] - 1.08).max() < 0.05  # 4 mm voxels
    half = head.brain.copy()
    half[:24] = False
    wrong = find_beside_given(half, head.affine, *scan)
    assert wrong.doubtful
    with pytest.raises(ScanError, match="could not be registered"):
        find_beside_given(np.zeros_like(half), head.affine, *scan)
