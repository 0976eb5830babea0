import numpy as np
import pytest

from bids_harmonize.imaging.orientation import axis_codes, to_ras
from tests.imaging.heads import ORIENTATIONS, make_scan, oblique


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_reorienting_gives_the_volume_that_was_acquired_in_ras(name):
    wanted, wanted_affine = make_scan(np.eye(3), size_mm=8.0)
    volume, affine = make_scan(ORIENTATIONS[name], size_mm=8.0)
    assert axis_codes(affine) == name
    found, found_affine = to_ras(volume, affine)
    np.testing.assert_allclose(found_affine, wanted_affine, atol=1e-9)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_an_oblique_volume_stays_oblique_and_in_place():
    volume, affine = make_scan(oblique() @ ORIENTATIONS["LPS"], size_mm=8.0)
    found, found_affine = to_ras(volume, affine)
    assert axis_codes(found_affine) == "RAS"
    peak = np.array([*np.unravel_index(volume.argmax(), volume.shape), 1.0])
    found_peak = np.array([*np.unravel_index(found.argmax(), found.shape), 1.0])
    np.testing.assert_allclose(found_affine @ found_peak, affine @ peak, atol=1e-9)
