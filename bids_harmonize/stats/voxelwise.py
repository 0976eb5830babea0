"""The group's effect at every voxel, with p corrected by dealing people anew within their sites.

Choice: our own permutations (Freedman and Lane), within blocks. Reason: people of different sites
cannot change places: a permutation across sites would break up what the site does, in the mean
and in the spread, and its p would be wrong wherever the site matters. Rejected:
``nilearn.mass_univariate.permuted_ols``, which deals over everybody and takes no blocks (its
enhancement serves as the oracle of ours). Revisit when it does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bids_harmonize.stats.effects import small_sample_correction, with_intercept
from bids_harmonize.stats.enhancement import enhance

Array: TypeAlias = np.ndarray

_DEPENDENT = 1e-9
_CHUNK = 4096  # voxels at a time


@dataclass(frozen=True, eq=False)
class GroupTest:
    """A linear model of group and covariates, ready to be asked at every voxel.

    Attributes
    ----------
    left
        Float32 (n_people, n_voxels): what the covariates leave of the values.
    power
        Float32 (n_voxels,): sum of its squares.
    columns
        Float32 (n_people, n_columns): the group's part that the covariates do not tell, of length
        1, and an orthonormal basis of the covariates.
    spread
        Length of the group's part.
    df
        Residual degrees of freedom.
    mask
        Bool (I, J, K): the voxels, in C order.
    """

    left: Array
    power: Array
    columns: Array
    spread: float
    df: int
    mask: Array

    @property
    def scale(self) -> float:
        """What turns t into Hedges' g."""
        return small_sample_correction(self.df) / self.spread


def prepare_test(values: Array, is_case: Array, covariates: Array, mask: Array) -> GroupTest:
    """The model of group and covariates, with the values made residuals in place.

    Parameters
    ----------
    values
        Float32 (n_people, n_voxels), finite; a memory map will do. Overwritten: a study of a
        thousand people has more than a hundred million values.
    is_case
        Bool, shape (n_people,).
    covariates
        Shape (n_people, n_covariates), without intercept.
    mask
        Bool (I, J, K) with n_voxels voxels.

    Returns
    -------
    GroupTest
        Its ``left`` is ``values``.

    Raises
    ------
    ValueError
        If too few people are left for the covariates, or these tell who is a case.
    """
    basis, _ = np.linalg.qr(with_intercept(covariates))
    df = len(is_case) - basis.shape[1] - 1
    if df < 1:
        message = f"{len(is_case)} people are too few for {basis.shape[1]} covariates"
        raise ValueError(message)
    group = np.asarray(is_case, dtype=np.float64)
    own = group - basis @ (basis.T @ group)
    spread = float(np.linalg.norm(own))
    if spread**2 < _DEPENDENT * len(group):
        message = "the covariates tell who is a case, so no difference can be told from theirs"
        raise ValueError(message)
    power = np.empty(values.shape[1], dtype=np.float32)
    for start in range(0, values.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        block = np.asarray(values[:, part], dtype=np.float64)
        block = block - basis @ (basis.T @ block)
        values[:, part] = block
        power[part] = (block**2).sum(axis=0)
    columns = np.column_stack([own / spread, basis]).astype(np.float32)
    return GroupTest(values, power, columns, spread, df, np.asarray(mask, dtype=bool))


def t_values(test: GroupTest, orders: Array) -> Array:
    """Group's t at every voxel, with the people's residuals in other orders.

    Parameters
    ----------
    test
        The model.
    orders
        Int (n_orders, n_people): a permutation a row.

    Returns
    -------
    ndarray
        Float32 (n_orders, n_voxels); 0 where nothing varies.

    References
    ----------
    Freedman and Lane 1983, doi:10.1080/07350015.1983.10509354; Winkler et al. 2014,
    doi:10.1016/j.neuroimage.2014.01.060
    """
    n_orders, n_columns = len(orders), test.columns.shape[1]
    # (n_orders, n_columns, n_people): to move the columns is to move the residuals back
    moved = test.columns[orders].transpose(0, 2, 1).reshape(n_orders * n_columns, -1)
    t = np.empty((n_orders, test.left.shape[1]), dtype=np.float32)
    for start in range(0, test.left.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        fits = (moved @ test.left[:, part]).reshape(n_orders, n_columns, -1)
        slope = fits[:, 0]
        rest = test.power[part] - (fits**2).sum(axis=1)
        varies = rest > np.float32(1e-6) * test.power[part]
        t[:, part] = np.where(
            varies, slope / np.sqrt(np.where(varies, rest, 1) / test.df), np.float32(0)
        )
    return t


def enhanced_scores(test: GroupTest, t: Array) -> Array:
    """Enhanced values (n_voxels,) of t (n_voxels,), by :func:`enhance`."""
    box = tuple(slice(own.min(), own.max() + 1) for own in np.nonzero(test.mask))
    mask = test.mask[box]
    volume = np.zeros(mask.shape)
    volume[mask] = t
    return enhance(volume)[mask]


def permuted_maxima(test: GroupTest, sites: Array, n: int, rng: np.random.Generator) -> Array:
    """Largest enhanced value over all voxels, of either sign, with people dealt anew.

    Parameters
    ----------
    test
        The model.
    sites
        Site of each person: only people of one site change places.
    n
        How often.
    rng
        Draws the orders.

    Returns
    -------
    ndarray
        Float64 (n,).
    """
    orders = np.stack([order_within(sites, rng) for _ in range(n)])
    t = t_values(test, orders)
    return np.array([np.abs(enhanced_scores(test, row)).max() for row in t])


def order_within(blocks: Array, rng: np.random.Generator) -> Array:
    """A random order of the people in which everybody stays in the own block; int (n_people,)."""
    labels = np.asarray(blocks)
    order = np.arange(len(labels))
    for own in _members(labels):
        order[own] = rng.permutation(own)
    return order


def corrected_p(scores: Array, maxima: Array) -> Array:
    """Two-sided p of every voxel, corrected for all of them.

    Parameters
    ----------
    scores
        Enhanced values (n_voxels,).
    maxima
        From :func:`permuted_maxima`; the people's own order counts as one more.

    Returns
    -------
    ndarray
        Float64 (n_voxels,), at least 1 / (n + 1).

    Examples
    --------
    >>> corrected_p(np.array([0.0, 2.5, -9.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.5, 0.25]
    """
    ordered = np.sort(maxima)
    n_as_large = len(ordered) - np.searchsorted(ordered, np.abs(scores), side="left")
    p: Array = (1 + n_as_large) / (1 + len(ordered))
    return p


def _members(labels: Array) -> Iterator[Array]:
    for label in np.unique(labels):
        yield np.flatnonzero(labels == label)
