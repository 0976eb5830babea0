"""What trained harmonizers copied of a difference between the people of two sites: the figures.

The one place where they stand; model cards tell them. Measured by ``python -m
tests.benchmarks.bench_confound --seed 611``: phantom of two sites, 4 mm, 16 people each; the
difference is real at the reference alone, and looked for in harmonized images of 6 people who do
not have it and never trained. A row is added when it was measured, never before.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Imitation:
    """One figure.

    Attributes
    ----------
    method
        A name of ``HARMONIZERS``, with the bilateral generator and pairwise.
    difference
        What the people of the reference had, in words.
    slope, low, high
        Share of the difference that appeared in others, with its 95 % interval over people: 0
        nothing, 1 all of it.
    n
        Number of people.
    """

    method: str
    difference: str
    slope: float
    low: float
    high: float
    n: int


_VENTRICLES, _GREY = "ventricles 25 % larger", "10 % less grey matter everywhere"
_FIXED = ", read at one brightness for all images"

IMITATIONS: tuple[Imitation, ...] = (
    Imitation("localhistogram", _VENTRICLES, 0.075, 0.063, 0.090, 6),
    Imitation("localhistogram", _VENTRICLES + _FIXED, 0.231, 0.187, 0.272, 6),
    Imitation("localhistogram", _GREY, 0.107, 0.089, 0.125, 6),
    Imitation("localhistogram", _GREY + _FIXED, 0.454, 0.360, 0.562, 6),
    Imitation("cyclegan", _VENTRICLES, 0.079, 0.076, 0.085, 6),
    Imitation("cyclegan", _VENTRICLES + _FIXED, 0.159, 0.151, 0.166, 6),
    Imitation("cyclegan", _GREY, 0.132, 0.118, 0.144, 6),
    Imitation("cyclegan", _GREY + _FIXED, 0.400, 0.377, 0.425, 6),
)


def imitation_words(method: str, figures: tuple[Imitation, ...] = IMITATIONS) -> str:
    """The measured figures of a method as a sentence each.

    Parameters
    ----------
    method
        A name of ``HARMONIZERS``.
    figures
        The table.

    Returns
    -------
    str
        Starts with a blank; empty where nothing was measured.

    Examples
    --------
    >>> rows = (Imitation("cyclegan", "ventricles 25 % larger", 0.02, -0.01, 0.05, 6),)
    >>> imitation_words("cyclegan", rows)[:52]
    ' On a phantom whose reference had people with ventri'
    """
    return "".join(
        f" On a phantom whose reference had people with {row.difference}, {row.slope:+.2f} of "
        f"that ({row.low:+.2f} to {row.high:+.2f}, 95 % interval, {row.n} people; 0: nothing, 1: "
        "all of it) was copied into others."
        for row in figures
        if row.method == method
    )
