from dataclasses import replace

import nibabel as nb
import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.phantom import (
    PRESETS,
    TISSUES,
    Person,
    Scanner,
    acquire,
    draw_session,
    make_scanners,
    simulate,
    truth_on_grid,
)
from bids_harmonize.phantom.acquisition import _coil_field
from bids_harmonize.phantom.session import Session

AT_REST = Session((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0), 1.0, 0)
LABEL = {tissue.name: tissue.label for tissue in TISSUES}


def test_a_draw_gives_the_same_scan_again(person_3mm: Person, scanner_6mm: Scanner) -> None:
    volume, affine = acquire(person_3mm, scanner_6mm, np.random.default_rng(5))
    again, affine_again = acquire(person_3mm, scanner_6mm, np.random.default_rng(5))
    other, _ = acquire(person_3mm, scanner_6mm, np.random.default_rng(6))
    assert volume.dtype == np.float32
    assert np.array_equal(volume, again)
    assert np.array_equal(affine, affine_again)
    assert not np.array_equal(volume, other)


def test_it_looks_like_a_t1w_head(person_3mm: Person, scanner_6mm: Scanner) -> None:
    plain = replace(scanner_6mm, coil_strength=0.0, voxel_size_mm=(3.0, 3.0, 3.0))
    scan = simulate(person_3mm, plain, AT_REST)
    truth = truth_on_grid(person_3mm, scan.volume.shape, scan.affine, scan.to_person)
    mean = {
        name: scan.volume[truth.labels == label].mean() / plain.scale
        for name, label in LABEL.items()
    }
    assert mean["csf"] < mean["gm"] < mean["wm"] < mean["fat"]
    assert mean["bone"] < 0.65 * mean["gm"]
    assert mean["wm"] == pytest.approx(plain.intensities[2], abs=0.1)
    far = ~ndimage.binary_dilation(truth.head, iterations=4)
    rayleigh = plain.noise * np.sqrt(np.pi / 2)
    assert scan.volume[far].mean() / plain.scale == pytest.approx(rayleigh, rel=0.03)


@pytest.mark.parametrize("index", range(5))
def test_orientation_voxels_and_tilt_move_nothing_in_the_world(
    index: int, person_3mm: Person, scanners_mixed_6mm: tuple[Scanner, ...]
) -> None:
    scanner = scanners_mixed_6mm[index]
    scan = simulate(person_3mm, scanner, AT_REST)
    assert "".join(nb.aff2axcodes(scan.affine)) == scanner.orientation
    oblique = np.degrees(nb.affines.obliquity(scan.affine)).max()
    assert oblique == pytest.approx(abs(scanner.tilt_deg), abs=1e-4)
    sizes = sorted(nb.affines.voxel_sizes(scan.affine))
    assert sizes == pytest.approx(sorted(scanner.voxel_size_mm), abs=1e-6)
    truth = truth_on_grid(person_3mm, scan.volume.shape, scan.affine, scan.to_person)
    centre = scan.affine[:3, :3] @ np.argwhere(truth.brain).mean(axis=0) + scan.affine[:3, 3]
    bright = scan.volume > 0.35 * scanner.scale
    overlap = (bright & truth.brain).sum() / truth.brain.sum()
    assert overlap > 0.85
    labels = person_3mm.fractions[:3].sum(axis=0)
    at_rest = np.array(ndimage.center_of_mass(labels))
    expected = person_3mm.affine[:3, :3] @ at_rest + person_3mm.affine[:3, 3]
    assert np.abs(centre - expected).max() < 1.5


def test_the_stated_position_takes_a_scan_back_to_the_head_at_rest(
    person_3mm: Person, scanner_6mm: Scanner
) -> None:
    quiet = replace(scanner_6mm, noise=0.0, coil_strength=0.0, voxel_size_mm=(3.0, 3.0, 3.0))
    still = simulate(person_3mm, quiet, AT_REST)
    session = replace(
        AT_REST, rotation_deg=(8.0, -5.0, 6.0), translation_mm=(4.0, -6.0, 5.0), noise_seed=1
    )
    moved = simulate(person_3mm, quiet, session)
    matrix = np.linalg.inv(moved.affine) @ np.linalg.inv(moved.to_person) @ still.affine
    back = ndimage.affine_transform(
        moved.volume, matrix[:3, :3], matrix[:3, 3], still.volume.shape, order=3
    )
    brain = truth_on_grid(person_3mm, still.volume.shape, still.affine, np.eye(4)).brain
    before = np.corrcoef(moved.volume[brain], still.volume[brain])[0, 1]
    after = np.corrcoef(back[brain], still.volume[brain])[0, 1]
    assert before < 0.6
    assert 0.97 < after <= 1


def test_a_head_is_moved_the_way_the_session_says(
    person_3mm: Person, scanner_6mm: Scanner
) -> None:
    session = replace(AT_REST, translation_mm=(6.0, 0.0, 0.0), rotation_deg=(10.0, 0.0, 0.0))
    brains = []
    for each in (AT_REST, session):
        scan = simulate(person_3mm, scanner_6mm, each)
        truth = truth_on_grid(person_3mm, scan.volume.shape, scan.affine, scan.to_person)
        brains.append(nb.affines.apply_affine(scan.affine, np.argwhere(truth.brain)))
    assert brains[1][:, 0].mean() - brains[0][:, 0].mean() == pytest.approx(6, abs=0.5)
    # A positive turn about the right axis lifts what lies in front: the nose goes up.
    tilts = [np.polyfit(points[:, 1], points[:, 2], 1)[0] for points in brains]
    assert tilts[1] - tilts[0] > 0.05


def test_the_coil_field_has_its_stated_range(person_3mm: Person, scanner_6mm: Scanner) -> None:
    quiet = replace(scanner_6mm, noise=0.0, coil_strength=0.3)
    with_field = simulate(person_3mm, quiet, AT_REST)
    without = simulate(person_3mm, replace(quiet, coil_strength=0.0), AT_REST).volume
    field = np.log(_coil_field(quiet, AT_REST, without.shape, with_field.affine))
    assert field.max() == pytest.approx(0.3, abs=1e-3)
    assert field.min() == pytest.approx(-0.3, abs=1e-3)
    inside = without > 0.2 * quiet.scale
    assert np.log(with_field.volume[inside] / without[inside]) == pytest.approx(
        field[inside], abs=1e-4
    )


def test_noise_is_rician_with_the_stated_spread(person_3mm: Person, scanner_6mm: Scanner) -> None:
    scan = simulate(person_3mm, scanner_6mm, AT_REST)
    bright = scan.noise_free > 0.8 * scanner_6mm.scale
    spread = (scan.volume - scan.noise_free)[bright].std() / scanner_6mm.scale
    assert spread == pytest.approx(scanner_6mm.noise, rel=0.1)


def test_every_session_is_new(person_3mm: Person) -> None:
    rng = np.random.default_rng(0)
    sessions = [draw_session(rng) for _ in range(200)]
    assert len({session.noise_seed for session in sessions}) == 200
    assert np.std([s.rotation_deg for s in sessions]) == pytest.approx(3, rel=0.15)
    assert np.std([s.translation_mm for s in sessions]) == pytest.approx(3, rel=0.15)
    assert np.std(np.log([s.gain for s in sessions])) == pytest.approx(0.1, rel=0.2)


def _brain_psnr(first: np.ndarray, second: np.ndarray, brain: np.ndarray) -> float:
    """Both rescaled by p1 and p99 in the brain, dB."""
    pair = []
    for volume in (first, second):
        low, high = np.percentile(volume[brain], (1, 99))
        pair.append((volume[brain] - low) / (high - low))
    return float(-10 * np.log10(np.mean((pair[0] - pair[1]) ** 2)))


@pytest.mark.parametrize(("preset", "low", "high"), [("default", 2.0, 12.0), ("null", -1.0, 1.0)])
def test_the_site_effect_is_above_the_rescan_noise_or_absent(
    preset: str, low: float, high: float, person_3mm: Person
) -> None:
    first, second = make_scanners(PRESETS[preset], n_sites=2, resolution_mm=4.0, seed=0)
    scans = [
        simulate(person_3mm, scanner, replace(AT_REST, noise_seed=seed))
        for seed, scanner in enumerate((first, first, second))
    ]
    brain = truth_on_grid(person_3mm, scans[0].volume.shape, scans[0].affine, np.eye(4)).brain
    rescan = _brain_psnr(scans[0].volume, scans[1].volume, brain)
    across = _brain_psnr(scans[0].volume, scans[2].volume, brain)
    assert low < rescan - across < high
