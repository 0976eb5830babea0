"""Tables of numbers that must be whole before anything is computed of them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def finite_table(table: Floats, what: str) -> Floats:
    """The table as float64, once it is sure that it is one and has no gaps.

    Parameters
    ----------
    table
        Shape (n, p).
    what
        What it holds, for the message.

    Returns
    -------
    np.ndarray
        Float64, shape (n, p).

    Raises
    ------
    ValueError
        If it has not two axes, or a value is NaN or infinite.

    Examples
    --------
    >>> finite_table(np.array([[1, 2]]), "features")
    array([[1., 2.]])
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2:
        message = f"{what} must have one row a person and one column each, found {values.shape}"
        raise ValueError(message)
    gaps = np.argwhere(~np.isfinite(values))
    if gaps.size:
        row, column = gaps[0]
        message = (
            f"{len(gaps)} values of the {what} are not finite, the first in row {row}, column "
            f"{column} (from 0); leave such people out, or fill the gaps"
        )
        raise ValueError(message)
    return values


def require_independent(columns: Floats, what: str) -> None:
    """Raise where the columns of a design do not tell their effects apart.

    Parameters
    ----------
    columns
        Shape (n, c), finite.
    what
        What they are, for the message.

    Raises
    ------
    ValueError
        If one column is 0 throughout or follows from the others.

    Examples
    --------
    >>> require_independent(np.array([[1.0, 2.0], [3.0, 6.0]]), "age and sex")
    Traceback (most recent call last):
    ValueError: age and sex: 2 columns, but only 1 independent; leave out the rest
    """
    size = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(size > 0, size, 1.0)
    rank = int(np.linalg.matrix_rank(scaled, tol=1e-8)) if columns.shape[1] else 0
    if rank < columns.shape[1]:
        message = (
            f"{what}: {columns.shape[1]} columns, but only {rank} independent; leave out the rest"
        )
        raise ValueError(message)
