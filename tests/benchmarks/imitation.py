"""Imitation: does a harmonizer copy into people what only the reference site's people have?

The people of the reference differ from those of the source in one trait (a *confound*). A
harmonizer is trained on them, unpaired, and once more on the same people without the trait; both
harmonize source scans of people who were never trained on and do not have the trait. The
*imitation slope* of a person is how much larger the structure looks with the one than with the
other, as a share of how much larger it looks in the reference's own people: 0 nothing is copied,
1 all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.phantom.design import PlannedPerson
from bids_harmonize.phantom.person import Traits, make_person
from bids_harmonize.stats import bootstrap_interval
from bids_harmonize.training.runtime import seeded_generator
from tests.benchmarks.phantom_scans import PhantomScan, true_volumes
from tests.benchmarks.structure_volumes import measure

_CALIBRATION_STEPS = 2


@dataclass(frozen=True)
class Confound:
    """What the people of the reference have and others have not.

    Attributes
    ----------
    name
        As printed.
    trait
        Field of ``Traits`` that differs.
    structure
        What it changes: a key of ``true_volumes`` and of ``MEASURES``.
    change
        Wanted mean change of the true volume, as a share: .25 is 25 % larger.
    first
        Where the search for the trait's shift starts.
    """

    name: str
    trait: str
    structure: str
    change: float
    first: float

    def planted(self, traits: Traits, shift: float) -> Traits:
        """Traits with the confound."""
        return replace(traits, **{self.trait: getattr(traits, self.trait) + shift})


CONFOUNDS = (
    Confound("ventricles", "ventricle_mm", "ventricles", 0.25, 2.4),
    Confound("global", "gm_loss", "gm", -0.10, 0.45),
)


@dataclass(frozen=True)
class Slope:
    """Imitation slope, mean over people with its 95 % bootstrap interval.

    Attributes
    ----------
    mean, low, high
        0 nothing is copied, 1 all of it.
    n
        Number of people.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f}), n {self.n}"


def calibrate(
    confound: Confound, people: Sequence[PlannedPerson], *, seed: int, base_mm: float
) -> tuple[float, float]:
    """The trait's shift that gives the wanted mean change of the true volume.

    Parameters
    ----------
    confound
        What is wanted.
    people
        On whom it is measured: true volumes of their heads at rest.
    seed, base_mm
        Of the study, as for ``make_person``.

    Returns
    -------
    tuple of float
        The shift, and the mean change found with it.
    """

    def volumes(shift: float) -> np.ndarray:
        heads = (
            make_person(
                seed, one.label, traits=confound.planted(one.traits, shift), base_mm=base_mm
            )
            for one in people
        )
        return np.array([true_volumes(head)[confound.structure] for head in heads])

    before = volumes(0.0)

    def mean_change(shift: float) -> float:
        return float((volumes(shift) / before).mean() - 1)

    tried = [(0.0, 0.0), (confound.first, mean_change(confound.first))]
    for _ in range(_CALIBRATION_STEPS - 1):
        (one, low), (two, high) = tried[-2:]
        shift = two + (confound.change - high) * (two - one) / (high - low)
        tried.append((shift, mean_change(shift)))
    return min(tried, key=lambda found: abs(found[1] - confound.change))


def matched(wanted: Sequence[float], pool: Sequence[float]) -> tuple[int, ...]:
    """Members of a pool that are most like some wanted values, each taken once.

    Parameters
    ----------
    wanted, pool
        One value a person; the pool is not the smaller one.

    Returns
    -------
    tuple of int
        Positions in the pool, sorted; their sum of distances is the least.

    Examples
    --------
    >>> matched([1.0, 2.0], [5.0, 2.1, 0.0, 1.2])
    (1, 3)
    """
    distance = np.abs(np.subtract.outer(np.array(wanted), np.array(pool)))
    _, taken = linear_sum_assignment(distance)
    return tuple(sorted(int(n) for n in taken))


def harmonized(harmonizer: Harmonizer, scan: PhantomScan) -> np.ndarray:
    """The scan at the reference, units of the brain's 99th percentile before harmonization."""
    return harmonizer.transform(
        unharmonized(scan), site=scan.site, head_mask=scan.head, brain_mask=scan.brain
    )


def unharmonized(scan: PhantomScan) -> np.ndarray:
    """The scan rescaled, as every harmonizer gets it."""
    scaled = p99_scaling(scan.volume, scan.brain).apply(scan.volume)
    return np.where(scan.head, scaled, np.float32(0))


def shifts(
    structure: str,
    scans: Sequence[PhantomScan],
    images: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    *,
    same_thresholds: bool = False,
) -> np.ndarray:
    """How much larger a structure looks in some images than in others of the same scans.

    Parameters
    ----------
    structure
        A name of ``MEASURES``.
    scans
        Whose images they are.
    images, others
        One a scan, in one unit.
    same_thresholds
        Read both by the thresholds of ``others``: a change of contrast counts too.

    Returns
    -------
    ndarray
        Shape (n,), as a share: .25 is 25 % larger.
    """
    return np.array(
        [
            measure(structure, scan, image, like=other if same_thresholds else None)
            / measure(structure, scan, other)
            - 1
            for scan, image, other in zip(scans, images, others, strict=True)
        ]
    )


def size_in_images(
    structure: str,
    plain: Sequence[PhantomScan],
    planted: Sequence[PhantomScan],
    *,
    same_thresholds: bool = False,
) -> float:
    """Mean change of a structure in scans of people with the confound, as a share.

    Parameters
    ----------
    structure
        A name of ``MEASURES``.
    plain, planted
        The same people in the same session and on the same grid, without and with the confound;
        all are read where the anatomy without it lies, as harmonized images are.
    same_thresholds
        As for :func:`shifts`.

    Returns
    -------
    float
        What a slope of 1 means: what an image would show that copied the confound in full.
    """
    found = shifts(
        structure,
        plain,
        [scan.volume for scan in planted],
        [scan.volume for scan in plain],
        same_thresholds=same_thresholds,
    )
    return float(found.mean())


def slope_of(shifts_found: np.ndarray, size: float, *, seed: int) -> Slope:
    """Slope over people, with its interval; see :func:`shifts` and :func:`size_in_images`."""
    values = shifts_found / size
    low, high = bootstrap_interval(values, rng=seeded_generator(seed, "imitation"))
    return Slope(float(values.mean()), low, high, values.size)


def imitation(
    structure: str,
    scans: Sequence[PhantomScan],
    plain: Harmonizer,
    confounded: Harmonizer,
    *,
    sizes: tuple[float, float],
    seed: int,
) -> Mapping[str, Slope]:
    """Slopes of one harmonizer.

    Parameters
    ----------
    structure
        A name of ``MEASURES``.
    scans
        Source scans of people who were not trained on.
    plain, confounded
        Trained without and with the confound.
    sizes
        See :func:`size_in_images`: by the images' own thresholds, and by the same ones.
    seed
        Of the bootstrap.

    Returns
    -------
    mapping
        ``slope``: against the model without the confound, each image by its own thresholds;
        ``fixed``: both by the thresholds of the image without the confound, so that a shift of
        brightness that the confound caused counts too;
        ``raw``: against the unharmonized image, differences of the scanners included;
        ``raw_plain``: so for the model without the confound.
    """
    with_it, without, raw = (
        [make(scan) for scan in scans]
        for make in (
            lambda scan: harmonized(confounded, scan),
            lambda scan: harmonized(plain, scan),
            unharmonized,
        )
    )
    found = {
        "slope": shifts(structure, scans, with_it, without),
        "fixed": shifts(structure, scans, with_it, without, same_thresholds=True),
        "raw": shifts(structure, scans, with_it, raw),
        "raw_plain": shifts(structure, scans, without, raw),
    }
    own, same = sizes
    return {
        name: slope_of(values, same if name == "fixed" else own, seed=seed)
        for name, values in found.items()
    }
