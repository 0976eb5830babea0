"""One person: traits, and the head that follows from them."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from bids_harmonize.phantom.canvas import LATTICE_MM, Canvas, smooth_noise
from bids_harmonize.phantom.disorder import find_pattern, loss_map
from bids_harmonize.phantom.seeds import named_generator
from bids_harmonize.phantom.template import HeadTemplate, head_template
from bids_harmonize.phantom.tissues import TISSUE_INDEX, TISSUES
from bids_harmonize.phantom.warp import integrate_velocity

AGE_RANGE = (20.0, 75.0)
_VENTRICLE_MM_PER_YEAR = 0.09
_GM_LOSS_PER_YEAR = 0.012
# The velocity field: smoothing (mm), standard deviation (mm), and whether it moves the face too.
_VELOCITY_SCALES = ((44.0, 3.2, True), (18.0, 1.7, False), (9.0, 0.9, False))
SIZE_CENTRE_MM = np.array([0.0, -18.0, 10.0])  # a head grows and shrinks about this point
_MEAN_SIZE = 0.935  # the template's brain has 1.9 L, an adult's about 1.5 L with its fluid
# A loss of 1 takes about a sixth of the grey matter, most of it on the side of the fluid.
_FLUID_LOGIT_PER_LOSS, _GM_LOGIT_PER_LOSS = 1.0, 0.6
_FINE_SULCI_LOGIT = 0.75
_FLUID_LOGIT = 1.2  # an average brain hides its sulci


@dataclass(frozen=True)
class Traits:
    """What the anatomy is made from.

    Attributes
    ----------
    age
        Years.
    sex
        ``"F"`` or ``"M"``.
    size
        Linear size of the head relative to the template.
    ventricle_mm
        Outward push of the ventricle wall, mm.
    gm_loss
        Loss of grey matter everywhere; 1 takes about a sixth of it.
    skull_mm, scalp_mm
        Mean thickness over the brain case.
    pattern, severity
        Planted atrophy pattern (``None``: healthy) and its strength; 1 is the stated one.
    """

    age: float
    sex: str
    size: float
    ventricle_mm: float
    gm_loss: float
    skull_mm: float
    scalp_mm: float
    pattern: str | None = None
    severity: float = 0.0

    def at_age(self, age: float) -> "Traits":
        """The same person at another age; ventricles and grey matter follow."""
        years = age - self.age
        return replace(
            self,
            age=round(age, 1),
            ventricle_mm=self.ventricle_mm + _VENTRICLE_MM_PER_YEAR * years,
            gm_loss=self.gm_loss + _GM_LOSS_PER_YEAR * years,
        )


@dataclass(frozen=True)
class Person:
    """A head at rest in its own world (mm, RAS+), before any scanner.

    Attributes
    ----------
    traits
        Age, sex and what follows.
    affine
        Voxel-to-world matrix of the maps, 4x4, mm.
    fractions
        Shape ``(n_tissues, I, J, K)``, float32, in the order of ``TISSUES``; the rest to 1 is air.
    head
        Share of each voxel inside the skin, air ways and sinuses included, ``(I, J, K)``.
    texture
        Smooth signal factor around 1 within tissue, shape ``(I, J, K)``.
    displacement_mm
        Shape ``(3, i, j, k)``, 6 mm apart: a point x of the person comes from the template's
        ``c + (x - c) / size + displacement(x)``, c being :data:`SIZE_CENTRE_MM`.
    """

    traits: Traits
    affine: np.ndarray
    fractions: np.ndarray
    head: np.ndarray
    texture: np.ndarray
    displacement_mm: np.ndarray


def draw_traits(
    rng: np.random.Generator,
    *,
    age: float | None = None,
    sex: str | None = None,
    pattern: str | None = None,
    severity: float = 1.0,
) -> Traits:
    """Traits of a person; what is not given is drawn.

    Parameters
    ----------
    rng
        Source of the numbers; the same count is drawn whatever is given.
    age
        Years, 20 to 75 if drawn.
    sex
        ``"F"`` or ``"M"``.
    pattern
        Atrophy pattern of a case, ``None`` for a healthy person.
    severity
        Mean strength of the pattern; the person's own varies by 20 %.

    Returns
    -------
    Traits
        From 20 to 75 years the ventricles grow by about 80 % and grey matter shrinks by 14 %;
        men's heads are 3.5 % larger (11 % in volume).
    """
    uniform = rng.uniform(size=2)
    normal = np.clip(rng.standard_normal(6), -2.5, 2.5)
    drawn_age = AGE_RANGE[0] + uniform[0] * (AGE_RANGE[1] - AGE_RANGE[0])
    age = round(float(drawn_age if age is None else age), 1)
    sex = sex or ("F" if uniform[1] < 0.5 else "M")
    years = age - 45.0
    return Traits(
        age=age,
        sex=sex,
        size=float(_MEAN_SIZE + (0.0175 if sex == "M" else -0.0175) + 0.018 * normal[0]),
        ventricle_mm=float(0.4 + _VENTRICLE_MM_PER_YEAR * years + 0.6 * normal[1]),
        gm_loss=float(_GM_LOSS_PER_YEAR * years + 0.05 * normal[2]),
        skull_mm=float(7.2 + 0.7 * normal[3]),
        scalp_mm=float(6.2 + (0.3 if sex == "M" else -0.3) + 0.8 * normal[4]),
        pattern=pattern,
        severity=float(severity * (1 + 0.2 * normal[5])) if pattern else 0.0,
    )


def make_person(
    seed: int = 0, name: str = "person", *, traits: Traits | None = None, base_mm: float = 2.0
) -> Person:
    """A person's head: the template composed with the person's traits, then warped.

    Parameters
    ----------
    seed, name
        Fix everything that is random; other names change nothing here.
    traits
        Drawn from seed and name if not given.
    base_mm
        Voxel size of the maps, 1 to 4 mm; about half the voxel of the scans to come.

    Returns
    -------
    Person
        About 2 s at 2 mm, plus 3 s for the template once a process.
    """
    rng = named_generator(seed, "person", name)
    if traits is None:
        traits = draw_traits(named_generator(seed, "traits", name))
    template = head_template(float(base_mm))
    lattice = Canvas(LATTICE_MM)
    shares = _compose(template, lattice, traits, rng)
    displacement = _draw_displacement(template, lattice, traits, rng)
    canvas = template.canvas
    shares = _pull_back(shares, canvas, canvas.from_lattice(displacement, lattice), traits)
    texture = 1.0 + 0.025 * canvas.from_lattice(smooth_noise(rng, lattice, sigma_mm=7.0), lattice)
    texture = texture.astype(np.float32)
    return Person(traits, canvas.affine, shares[:-1], shares[-1], texture, displacement)


def _compose(
    template: HeadTemplate, lattice: Canvas, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """Shares of the tissues and, last, of the head, in the template's shape, before the warp."""
    canvas = template.canvas
    thick, skull, compartments = (
        canvas.from_lattice(smooth_noise(rng, lattice, sigma_mm=sigma), lattice)
        for sigma in (30.0, 18.0, 8.0)
    )
    skin_mm = template.skin_mm - (traits.scalp_mm - 6.2) - 0.6 * thick
    fractions = _soft_tissue(-skin_mm, compartments)
    fractions *= template.uncovered
    fractions += template.details
    _add_skull(fractions, template.brain_mm, traits.skull_mm + 0.8 * skull)
    _add_brain(fractions, template, traits, rng)
    head = _ramp(-skin_mm, canvas.voxel_mm)
    fractions *= head
    return np.concatenate([fractions, head[None]])


def _ramp(inside_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """0 outside, 1 inside, linear over ``width_mm`` around the border."""
    return np.clip(0.5 + inside_mm / width_mm, 0.0, 1.0).astype(np.float32)


def _soft_tissue(depth_mm: np.ndarray, compartments: np.ndarray) -> np.ndarray:
    """Skin, fat below it, then muscles with thin sheets of fat between them."""
    fractions = np.zeros((len(TISSUES), *depth_mm.shape), dtype=np.float32)
    below_skin, below_fat = _ramp(depth_mm - 1.8, 2.0), _ramp(depth_mm - 5.8, 2.0)
    sheets = np.clip(0.75 - 4.0 * np.abs(compartments), 0.0, 1.0) * below_fat
    fractions[TISSUE_INDEX["skin"]] = 1.0 - below_skin
    fractions[TISSUE_INDEX["muscle"]] = below_fat - sheets
    fractions[TISSUE_INDEX["fat"]] = below_skin - below_fat + sheets
    return fractions


def _add_skull(fractions: np.ndarray, brain_mm: np.ndarray, skull_mm: np.ndarray) -> None:
    """Fluid against the brain, then bone with marrow in its middle, in place."""
    shell = _ramp(skull_mm - brain_mm, 2.0)
    marrow = _ramp(0.9 - np.abs(brain_mm - 0.62 * skull_mm), 2.0) * shell
    rim = _ramp(1.2 - brain_mm, 2.0)
    fractions *= 1.0 - shell
    fractions[TISSUE_INDEX["bone"]] += shell - np.maximum(marrow, rim)
    fractions[TISSUE_INDEX["marrow"]] += np.maximum(marrow - rim, 0.0)
    fractions[TISSUE_INDEX["csf"]] += rim


def _add_brain(
    fractions: np.ndarray, template: HeadTemplate, traits: Traits, rng: np.random.Generator
) -> None:
    """Grey matter, white matter and fluid with the person's age, atrophy and sulci, in place."""
    canvas = template.canvas
    sulci = smooth_noise(rng, canvas, sigma_mm=3.2)
    brain = template.brain_mm < 1.0 + canvas.voxel_mm
    loss = np.full(canvas.shape, traits.gm_loss, dtype=np.float32)
    if traits.pattern is not None:
        pattern = loss_map(canvas.coordinates(), find_pattern(traits.pattern))
        loss += traits.severity * pattern
    logits = template.brain_logits[:, brain].copy()
    logits[0] += _FLUID_LOGIT + _FINE_SULCI_LOGIT * sulci[brain]
    logits[0] += _FLUID_LOGIT_PER_LOSS * loss[brain]
    logits[1] -= _GM_LOGIT_PER_LOSS * loss[brain]
    weights = np.exp(logits - logits.max(axis=0))
    weights /= weights.sum(axis=0)
    inside = _ramp(-template.brain_mm[brain], 2.0)
    fractions[:, brain] *= 1.0 - inside
    fractions[:3, brain] += weights * inside


def _draw_displacement(
    template: HeadTemplate, lattice: Canvas, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """Where each lattice point of the person lies in the template, minus its own place, mm."""
    velocity = np.zeros((3, *lattice.shape), dtype=np.float32)
    in_brain = lattice.from_lattice(_ramp(4.0 - template.brain_mm, 20.0), template.canvas)
    for sigma_mm, speed_mm, everywhere in _VELOCITY_SCALES:
        where = 1.0 if everywhere else in_brain
        for axis in range(3):
            velocity[axis] += speed_mm * smooth_noise(rng, lattice, sigma_mm=sigma_mm) * where
    ventricle_mm = traits.ventricle_mm
    if traits.pattern is not None:
        ventricle_mm += traits.severity * find_pattern(traits.pattern).ventricle_mm
    velocity += ventricle_mm * _ventricle_push(template, lattice)
    return integrate_velocity(velocity, voxel_mm=lattice.voxel_mm)


def _ventricle_push(template: HeadTemplate, lattice: Canvas) -> np.ndarray:
    """Velocity that, in a pull-back, widens the ventricles; its peak is 1 mm."""
    blurred = ndimage.gaussian_filter(template.ventricles, 6.0 / template.canvas.voxel_mm)
    coarse = lattice.from_lattice(blurred, template.canvas)
    push = np.stack(np.gradient(coarse))
    return (push / np.sqrt((push**2).sum(axis=0)).max()).astype(np.float32)


def _pull_back(
    shares: np.ndarray, canvas: Canvas, displacement: np.ndarray, traits: Traits
) -> np.ndarray:
    """The shares in the person's own shape: sampled where each voxel comes from."""
    centre = (SIZE_CENTRE_MM - canvas.affine[:3, 3]) / canvas.voxel_mm
    at = displacement / canvas.voxel_mm
    for axis, count in enumerate(canvas.shape):
        place = (np.arange(count) - centre[axis]) / traits.size + centre[axis]
        at[axis] += np.expand_dims(place, [a for a in range(3) if a != axis])
    np.clip(at[2], 0.0, None, out=at[2])  # the neck goes on below the canvas
    filled = np.flatnonzero(ndimage.maximum_filter(_coverage(shares[-1], at), 3) > 0)
    points = at.reshape(3, -1)[:, filled]
    result = np.zeros((len(shares), at[0].size), dtype=np.float32)
    for place, part in enumerate(shares):
        result[place, filled] = ndimage.map_coordinates(part, points, order=1, mode="constant")
    return result.reshape(shares.shape)


def _coverage(head: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Roughly where the person's head is."""
    return ndimage.map_coordinates((head > 0).astype(np.float32), at, order=0, mode="nearest")
