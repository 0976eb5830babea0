"""One acquisition: a person in a scanner, on one day.

Drawing (``draw_session``) and applying (:func:`simulate`) are two functions; the same draw gives
the same image.
"""

from dataclasses import dataclass

import nibabel as nb
import numpy as np
from scipy import ndimage

from bids_harmonize.phantom.cue import brightening_map, place_in
from bids_harmonize.phantom.person import Person
from bids_harmonize.phantom.scanner import FIELD_OF_VIEW_MM, Scanner
from bids_harmonize.phantom.session import Session, draw_session
from bids_harmonize.phantom.tissues import TISSUES

_CENTRE_MM = np.array([0.0, -14.0, -12.0])  # of the field of view, in a head at rest
_PIVOT_MM = np.array([0.0, -18.0, -20.0])
_COIL_RADIUS_MM = 110.0
_FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True)
class Simulation:
    """A simulated scan and its truth, all on the scan's own grid (stored orientation).

    Attributes
    ----------
    volume
        float32, native intensities.
    noise_free
        The same without noise.
    affine
        Voxel-to-world matrix, 4x4, mm, RAS+ world.
    to_person
        4x4, maps the scan's world to the person's own world, mm.
    cue_mm
        Centre of the scanner's bright patch in the scan's world, mm; ``None`` without one.
    """

    volume: np.ndarray
    noise_free: np.ndarray
    affine: np.ndarray
    to_person: np.ndarray
    cue_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class TruthMasks:
    """True masks and labels on a scan's grid.

    Attributes
    ----------
    labels
        uint8; 0 air, else the ``label`` of the tissue with the largest share.
    head, brain
        bool; at least half of the voxel is head (air ways and sinuses included), or brain (with
        the fluid around it).
    """

    labels: np.ndarray
    head: np.ndarray
    brain: np.ndarray


def acquire(
    person: Person, scanner: Scanner, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One scan of a person.

    Parameters
    ----------
    person
        The head.
    scanner
        The scanner.
    rng
        Source of position, gain, coil jitter and noise.

    Returns
    -------
    volume : numpy.ndarray
        float32, native intensities, in the scanner's stored orientation.
    affine : numpy.ndarray
        4x4 voxel-to-world matrix, mm, RAS+ world.
    """
    scan = simulate(person, scanner, draw_session(rng))
    return scan.volume, scan.affine


def simulate(person: Person, scanner: Scanner, session: Session) -> Simulation:
    """The scan that a session gives, with its noise-free image.

    Parameters
    ----------
    person
        The head.
    scanner
        The scanner.
    session
        Drawn by :func:`draw_session`.

    Returns
    -------
    Simulation
        Deterministic in its arguments.
    """
    shape, affine = _field_of_view(scanner)
    to_person = _to_person(session)
    signal = np.tensordot(
        np.array(scanner.intensities, dtype=np.float32), person.fractions, axes=1
    )
    signal *= person.texture
    cue_mm = None
    if scanner.cue is not None:
        centre = place_in(person, scanner.cue.template_mm)
        signal *= brightening_map(scanner.cue, centre, signal.shape, person.affine)
        x, y, z = (np.linalg.inv(to_person) @ [*centre, 1.0])[:3]
        cue_mm = (float(x), float(y), float(z))
    base_mm = np.sqrt((person.affine[:3, :3] ** 2).sum(axis=0))
    fwhm_mm = scanner.psf_voxels * np.array(scanner.voxel_size_mm)
    signal = ndimage.gaussian_filter(signal, fwhm_mm / _FWHM_PER_SIGMA / base_mm)
    sampled = _sample(signal, person.affine, shape, to_person @ affine)
    field = _coil_field(scanner, session, shape, affine)
    clean = sampled * field
    rng = np.random.default_rng(session.noise_seed)
    real, imaginary = scanner.noise * rng.standard_normal((2, *shape), dtype=np.float32)
    noisy = np.hypot(clean + real, imaginary)
    native = scanner.scale * session.gain
    ornt = nb.orientations.axcodes2ornt(scanner.orientation)
    volume, stored_affine = _store(noisy * native, affine, ornt)
    noise_free, _ = _store(clean * native, affine, ornt)
    return Simulation(volume, noise_free, stored_affine, to_person, cue_mm)


def truth_on_grid(
    person: Person, shape: tuple[int, int, int], affine: np.ndarray, to_person: np.ndarray
) -> TruthMasks:
    """Labels and masks of a person on any grid.

    Parameters
    ----------
    person
        The head.
    shape, affine
        The grid; voxel-to-world, mm.
    to_person
        4x4 from that world to the person's, :attr:`Simulation.to_person`; identity for a head at
        rest.

    Returns
    -------
    TruthMasks
        On the grid.
    """
    to_voxels = to_person @ affine
    fractions = np.stack(
        [_sample(part, person.affine, shape, to_voxels) for part in person.fractions]
    )
    head = _sample(person.head, person.affine, shape, to_voxels)
    return _masks_from_shares(fractions, head)


def truth_at_rest(person: Person) -> TruthMasks:
    """Labels and masks of a person on the grid of the person's own maps.

    Parameters
    ----------
    person
        The head.

    Returns
    -------
    TruthMasks
        On the grid of :attr:`Person.affine`.
    """
    return _masks_from_shares(person.fractions, person.head)


def _masks_from_shares(fractions: np.ndarray, head: np.ndarray) -> TruthMasks:
    """Labels and masks from the shares of tissues ``(n_tissues, I, J, K)`` and of the head."""
    brain = [place for place, tissue in enumerate(TISSUES) if tissue.is_brain]
    values = np.array([tissue.label for tissue in TISSUES], dtype=np.uint8)
    labels = np.where(fractions.sum(axis=0) < 0.5, 0, values[fractions.argmax(axis=0)])
    return TruthMasks(labels.astype(np.uint8), head >= 0.5, fractions[brain].sum(axis=0) >= 0.5)


def _rotation(angles_deg: tuple[float, float, float]) -> np.ndarray:
    """Matrix 4x4 of rotations about right, then anterior, then superior."""
    return np.block(
        [
            [nb.eulerangles.euler2mat(*np.radians(angles_deg[::-1])), np.zeros((3, 1))],
            [np.zeros((1, 3)), 1.0],
        ]
    )


def _shift(offset_mm: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset_mm
    return matrix


def _to_person(session: Session) -> np.ndarray:
    """From the scanner's world to the world of the head at rest."""
    moved = _shift(_PIVOT_MM + session.translation_mm) @ _rotation(session.rotation_deg)
    return np.linalg.inv(moved @ _shift(-_PIVOT_MM))


def _field_of_view(scanner: Scanner) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of the scan in RAS order; the tilt is about the field's centre."""
    voxel = np.array(scanner.voxel_size_mm)
    shape = np.ceil(np.array(FIELD_OF_VIEW_MM) / voxel / 2).astype(int) * 2
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = -voxel * (shape - 1) / 2
    tilt = _rotation((scanner.tilt_deg, 0.0, 0.0))
    affine = _shift(_CENTRE_MM) @ tilt @ affine
    return (int(shape[0]), int(shape[1]), int(shape[2])), affine


def _sample(
    volume: np.ndarray,
    volume_affine: np.ndarray,
    shape: tuple[int, int, int],
    to_world: np.ndarray,
) -> np.ndarray:
    """Values of a volume at the voxels of a grid; 0 outside."""
    matrix = np.linalg.inv(volume_affine) @ to_world
    return ndimage.affine_transform(
        volume, matrix[:3, :3], matrix[:3, 3], shape, order=1, mode="constant"
    )


def _coil_field(
    scanner: Scanner, session: Session, shape: tuple[int, int, int], affine: np.ndarray
) -> np.ndarray:
    """Smooth factor around 1, fixed to the scanner and not to the head."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij"))
    world = np.tensordot(affine[:3, :3], index, axes=1) + affine[:3, 3, None, None, None]
    centre = _CENTRE_MM + session.coil_shift_mm
    x, y, z = np.tanh((world - centre[:, None, None, None]) / _COIL_RADIUS_MM)
    terms = (x, y, z, x * x, y * y, z * z, x * y, y * z, x * z)
    shaped = sum(weight * term for weight, term in zip(scanner.coil_shape, terms, strict=True))
    shaped = shaped - (shaped.max() + shaped.min()) / 2
    shaped = shaped / np.abs(shaped).max()
    return np.exp(scanner.coil_strength * session.coil_factor * shaped).astype(np.float32)


def _store(
    volume: np.ndarray, affine: np.ndarray, orientation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A RAS volume in the stored orientation, with its affine."""
    change = nb.orientations.ornt_transform(nb.io_orientation(np.diag([1, 1, 1, 1])), orientation)
    stored = nb.orientations.apply_orientation(volume, change)
    stored_affine = affine @ nb.orientations.inv_ornt_aff(change, volume.shape)
    return np.ascontiguousarray(stored, dtype=np.float32), stored_affine
