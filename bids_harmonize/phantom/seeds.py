"""Random generators with names, so that one more participant changes nobody else."""

import hashlib

import numpy as np

GOLDEN_STEP = (5**0.5 - 1) / 2


def named_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the names alone.

    Parameters
    ----------
    seed
        The study's seed, >= 0.
    *names
        What the numbers are for, e.g. ``"acquisition", "sub-A001", "SiteA", 1``.

    Returns
    -------
    numpy.random.Generator
        Equal for equal arguments, on every machine.

    Examples
    --------
    >>> a, b = named_generator(0, "person", "A001"), named_generator(0, "person", "A001")
    >>> bool(a.random() == b.random())
    True
    """
    text = "/".join(str(part) for part in (seed, *names))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def spread_number(seed: int, index: int, *names: str | int) -> float:
    """Number ``index`` of an evenly spread sequence with a random start.

    The golden-ratio sequence: any first few members lie far apart, and a longer sequence keeps
    its earlier members. Two sites therefore always differ by .38 of a range, and never by chance
    resemble each other.

    Parameters
    ----------
    seed
        The study's seed, >= 0.
    index
        Place in the sequence, from 0.
    *names
        Name of the sequence.

    Returns
    -------
    float
        In [0, 1).
    """
    start = named_generator(seed, "spread", *names).random()
    return float((start + index * GOLDEN_STEP) % 1.0)
