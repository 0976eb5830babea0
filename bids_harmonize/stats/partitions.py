"""How alike two ways of sorting the same people into groups are.

scikit-learn has the same index (the tests hold one against the other); it takes 2 ms, nearly all
of it checks, and the nulls of a stability ask for tens of thousands.
"""

import numpy as np


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index of two partitions: 1 for the same one, about 0 for chance.

    Parameters
    ----------
    one, other
        Groups of the same people, integers from 0, shape (n,); what they are called is free.

    Raises
    ------
    ValueError
        If the shapes differ or a group is negative.

    References
    ----------
    Hubert and Arabie 1985, doi:10.1007/BF01908075

    Examples
    --------
    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    """
    if one.shape != other.shape or one.ndim != 1:
        msg = f"groups of people of shapes {one.shape} and {other.shape}"
        raise ValueError(msg)
    if min(one.min(initial=0), other.min(initial=0)) < 0:
        msg = "groups are counted from 0; there is a negative one"
        raise ValueError(msg)
    width = int(other.max(initial=0)) + 1
    height = int(one.max(initial=0)) + 1
    counts = np.bincount(one * width + other, minlength=width * height)
    table = counts.reshape(height, width).astype(np.int64)
    # Ordered pairs of people: together in both, in one alone, in neither.
    squares = int((table**2).sum())
    both = squares - len(one)
    only_one = int((table.sum(axis=1) ** 2).sum()) - squares
    only_other = int((table.sum(axis=0) ** 2).sum()) - squares
    neither = len(one) ** 2 - squares - only_one - only_other
    if not only_one and not only_other:
        return 1.0
    expected = (both + only_other) * (only_other + neither) + (both + only_one) * (
        only_one + neither
    )
    return 2.0 * (both * neither - only_one * only_other) / expected
