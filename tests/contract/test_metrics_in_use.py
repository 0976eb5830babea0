"""The contract of the metrics, held by the functions of the stage that apply them to a study.

Here a "metric" is the whole chain: a method's image, rescaled by its own percentiles, moved onto
the real scan, compared in the common mask, and looked up among other people.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_harmonize.bids.images import read_image, write_image
from bids_harmonize.imaging.lesions import lesion_change, make_lesion
from bids_harmonize.metrics import METRICS
from bids_harmonize.stages.evaluation.comparison import DIRECT
from bids_harmonize.stages.evaluation.portraits import Portraits
from bids_harmonize.stages.evaluation.travelling import Method, score_travelling, site_levels
from tests.stages.small_study import write_small_study, write_template_transforms

KEY = ["participant_id", "source_site", "target_site", "kind", "mask", "metric"]
IMAGE_METRICS = {name for name, row in METRICS.items() if row.inputs.startswith("image")}
PADDING = ((3, 0), (0, 4), (2, 2))


def _affine(slope, offset):
    def change(images, to_site):
        return (slope * images.volume + offset).astype(np.float32)

    return change


def _other_background(images, to_site):
    noise = np.random.default_rng(3).normal(size=images.volume.shape)
    return np.where(images.head, images.volume, 900 * noise).astype(np.float32)


METHODS = {
    "identity": lambda images, to_site: images.volume,
    "quieter": _affine(0.01, 0.0),
    "louder": _affine(3.0, 70.0),
    "shifted": _affine(1.0, -5000.0),
    "background": _other_background,
    "blurred": lambda images, to_site: gaussian_filter(images.volume, 1.0),
}


def _score(study, work_dir, methods=METHODS):
    """The numbers of the travelling subjects, and those of who is recognised."""
    portraits = Portraits(study)
    scores = score_travelling(
        study,
        [Method(*item) for item in methods.items()],
        levels=site_levels(study),
        work_dir=work_dir,
        watch=portraits.add,
    )
    assert scores.failures == ()
    values = scores.frame.pivot_table(index=KEY, columns="method", values="value")
    people = portraits.recognise(kind=DIRECT).melt(
        id_vars=["participant_id", "source_site", "method"],
        value_vars=["within", "between", "nearer"],
        var_name="metric",
    )
    people["value"] = people["value"].astype(float)
    keys = ["participant_id", "source_site", "metric"]
    return values, people.pivot_table(index=keys, columns="method", values="value")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = write_small_study(tmp_path_factory.mktemp("study"), n_per_site=1)
    write_template_transforms(made)
    return made


@pytest.fixture(scope="module")
def scores(study, tmp_path_factory):
    return _score(study, tmp_path_factory.mktemp("work"))


def test_every_metric_of_images_is_in_use(scores):
    assert set(scores[0].index.get_level_values("metric")) == IMAGE_METRICS
    assert scores[1]["identity"].notna().sum() == 2 * 3


@pytest.mark.parametrize("method", ["quieter", "louder", "shifted", "background"])
def test_an_affine_map_or_another_background_scores_as_identity(method, scores):
    for values in scores:
        np.testing.assert_allclose(values[method], values["identity"], rtol=1e-5, atol=1e-5)


def test_a_change_inside_the_head_scores_otherwise(scores):
    for values in scores:
        changed = (values["blurred"] - values["identity"]).abs()
        assert changed.groupby("metric").max().drop("nearer", errors="ignore").min() > 1e-3


def test_more_empty_planes_around_a_scan_do_not_change_its_scores(study, scores, tmp_path):
    folder = tmp_path / "study"
    grown = write_small_study(folder, n_per_site=1)
    write_template_transforms(grown)
    for scan in grown.scans:
        for path in (scan.t1w, scan.head_mask, scan.brain_mask):
            volume, affine = read_image(path)
            moved = affine.copy()
            moved[:3, 3] -= affine[:3, :3] @ [before for before, _ in PADDING]
            dtype = np.float32 if path == scan.t1w else np.uint8
            write_image(path, np.pad(volume, PADDING).astype(dtype), moved)
    shape = tuple(n + sum(pad) for n, pad in zip(study.grid_shape, PADDING, strict=True))
    grown = replace(grown, grid_shape=shape)
    methods = {"identity": METHODS["identity"]}
    (values, people), padded = scores, _score(grown, tmp_path / "work", methods)
    # The registration is estimated anew, on a pyramid that starts elsewhere: 0.003 dB.
    moved = values["identity"].drop("sharpness", level="metric")
    changed = (padded[0]["identity"] - moved).abs().groupby("metric").max()
    assert changed.drop("psnr").max() < 1e-4
    assert changed["psnr"] < 5e-3
    for plain, other in ((values, padded[0]), (people, padded[1])):
        unmoved = (
            plain["identity"]
            .drop(["psnr", "ssim", "mae", "correlation"], level="metric", errors="ignore")
            .dropna()
        )
        # Some are 1 less a sum of float32, whose order the padding changes: a few steps of 1e-7.
        np.testing.assert_allclose(other["identity"][unmoved.index], unmoved, rtol=1e-6, atol=1e-6)


@pytest.fixture
def planted():
    """A scan, the same with a lesion, the lesion, and the brain."""
    rng = np.random.default_rng(9)
    shape, affine = (28, 28, 28), np.diag([3.0, 3.0, 3.0, 1.0])
    volume = (400 + 60 * gaussian_filter(rng.normal(size=shape), 1.5)).astype(np.float32)
    brain = np.zeros(shape, dtype=bool)
    brain[3:25, 3:25, 3:25] = True
    lesion = make_lesion(shape, affine, np.array([7, 14, 14]))
    return volume, lesion.put_into(volume, change=-0.35), lesion, brain


def test_a_lesion_is_whole_at_identity_and_less_of_it_is_left_by_stronger_blur(planted):
    before, lesion, brain = planted[:2], planted[2], planted[3]
    changes = [
        lesion_change(
            lesion,
            before,
            tuple(gaussian_filter(volume, sigma) for volume in before),
            brain=brain,
        )
        for sigma in (0.0, 0.5, 1.0, 1.5)
    ]
    assert changes[0].contrast == pytest.approx(1.0, abs=1e-5)
    assert changes[0].volume == pytest.approx(1.0, abs=1e-5)
    assert changes[0].away == pytest.approx(0.0, abs=1e-5)
    contrasts = [change.contrast for change in changes]
    assert contrasts == sorted(contrasts, reverse=True)
    assert contrasts[-1] < 0.9


def test_background_and_padding_do_not_change_what_is_left_of_a_lesion(planted):
    *before, lesion, brain = planted
    after = [gaussian_filter(volume, 1.0) for volume in before]
    plain = lesion_change(lesion, before, after, brain=brain)
    noise = np.random.default_rng(1).normal(size=brain.shape)
    outside = [np.where(brain, volume, 900 * noise * k) for k, volume in enumerate(after, 1)]
    assert lesion_change(lesion, before, outside, brain=brain) == pytest.approx(plain, abs=1e-9)
    wide = make_lesion((31, 32, 32), np.diag([3.0, 3.0, 3.0, 1.0]), np.array([10, 14, 16]))
    padded = [[np.pad(volume, PADDING) for volume in pair] for pair in (before, after)]
    grown = lesion_change(wide, *padded, brain=np.pad(brain, PADDING))
    assert grown == pytest.approx(plain, abs=1e-6)
