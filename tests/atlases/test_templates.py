import numpy as np
import pytest

from bids_harmonize.atlases import load_template, load_template_image
from bids_harmonize.imaging.orientation import axis_codes


def test_the_template_is_a_symmetric_brain_of_1_9_litres():
    template = load_template(2.0)
    assert axis_codes(template.affine) == "RAS"
    litres = template.brain_mask.sum() * 8e-6
    assert litres == pytest.approx(1.887, abs=0.02)
    mirrored = template.t1[::-1]
    assert np.corrcoef(template.t1.ravel(), mirrored.ravel())[0, 1] > 0.99


def test_tissue_maps_are_shares_and_white_is_brighter_than_grey():
    template = load_template(2.0)
    for share in (template.gm, template.wm):
        assert share.min() >= 0
        assert 0.95 < share.max() <= 1.001
    white = template.t1[template.wm > 0.9].mean()
    grey = template.t1[template.gm > 0.9].mean()
    assert white == pytest.approx(224, abs=6)
    assert grey == pytest.approx(167, abs=8)


def test_nobody_can_change_the_shared_template():
    with pytest.raises(ValueError, match="read-only"):
        load_template(2.0).t1[0, 0, 0] = 1.0


def test_coarser_images_keep_the_place():
    fine, fine_affine = load_template_image("wm")
    coarse, affine = load_template_image("wm", resolution_mm=4.0)

    def centre(volume, matrix):
        middle = [
            (volume.sum(axis=tuple({0, 1, 2} - {axis})) * np.arange(n)).sum() / volume.sum()
            for axis, n in enumerate(volume.shape)
        ]
        return matrix[:3, :3] @ middle + matrix[:3, 3]

    np.testing.assert_allclose(centre(coarse, affine), centre(fine, fine_affine), atol=0.1)
