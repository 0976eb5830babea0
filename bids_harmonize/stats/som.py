"""A self-organising map and k-means of its nodes, patients and controls together, a comparator.

The map has no notion of a control: what sets people apart most, be it age, sex or site, orders it,
unless it was taken out before.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

_LARGEST_SEED = 2**31 - 1
_LAST_RADIUS = 0.5


@dataclass(frozen=True)
class NodeMap:
    """Nodes on a rectangular grid, neighbours alike.

    Attributes
    ----------
    nodes
        Shape (rows * columns, p), row by row.
    shape
        Rows and columns.
    """

    nodes: np.ndarray
    shape: tuple[int, int]

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The node that is most like each person, (n,), 0 to rows * columns - 1."""
        crossed = values @ self.nodes.T
        return np.asarray(((self.nodes**2).sum(axis=1) - 2 * crossed).argmin(axis=1))


@dataclass(frozen=True)
class SomClusters:
    """Clusters of the nodes of a map.

    Attributes
    ----------
    node_map
        The map.
    node_labels
        Shape (rows * columns,), cluster of each node, 0 to k - 1.
    """

    node_map: NodeMap
    node_labels: np.ndarray

    def assign(self, values: np.ndarray) -> np.ndarray:
        """Cluster of the node that is most like each person, (n,)."""
        return np.asarray(self.node_labels[self.node_map.nearest(values)])


def fit_som(values: np.ndarray, *, shape: tuple[int, int] = (6, 6), n_epochs: int = 50) -> NodeMap:
    """A map of people, by batches, from a start in the plane of their two widest axes.

    Parameters
    ----------
    values
        Shape (n, p), finite, p at least 2; patients and controls together.
    shape
        Rows and columns, each at least 2.
    n_epochs
        Passes over everybody; the radius within which nodes learn together falls geometrically
        from half of the longer side to half a node.

    Returns
    -------
    NodeMap
        The same for the same people in any order.

    Raises
    ------
    ValueError
        If there are under 3 people, under 2 values, or the map has a side under 2.

    References
    ----------
    Kohonen 2013, doi:10.1016/j.neunet.2012.09.018
    """
    if min(shape) < 2 or len(values) < 3 or values.shape[1] < 2:
        message = f"need (n >= 3, p >= 2) and sides >= 2, found {values.shape} and {shape}"
        raise ValueError(message)
    rows, columns = np.indices(shape).reshape(2, -1)
    apart = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    nodes = _plane(values, rows, columns)
    radii = np.geomspace(max(shape) / 2, _LAST_RADIUS, n_epochs)
    for radius in radii:
        nearest = NodeMap(nodes, shape).nearest(values)
        reach = np.exp(-apart / (2 * radius**2))
        counts = np.bincount(nearest, minlength=len(nodes))
        sums = np.zeros_like(nodes)
        np.add.at(sums, nearest, values)
        nodes = (reach @ sums) / np.maximum(reach @ counts, 1e-12)[:, None]
    return NodeMap(nodes, shape)


def cluster_som(
    values: np.ndarray,
    k: int = 6,
    *,
    rng: np.random.Generator,
    shape: tuple[int, int] = (6, 6),
    n_epochs: int = 50,
) -> SomClusters:
    """Clusters of people by k-means of the nodes of their map.

    Parameters
    ----------
    values
        Shape (n, p), patients and controls together.
    k
        Number of clusters, at most the number of nodes.
    rng
        Source of the starts of k-means.
    shape, n_epochs
        As for :func:`fit_som`.

    Returns
    -------
    SomClusters
        The cluster of the most people first.

    Raises
    ------
    ValueError
        As for :func:`fit_som`, or if k is not between 1 and the number of nodes.

    References
    ----------
    Sugihara et al. 2017, doi:10.1093/schbul/sbw176
    """
    node_map = fit_som(values, shape=shape, n_epochs=n_epochs)
    if not 1 <= k <= len(node_map.nodes):
        message = f"need 1 <= k <= {len(node_map.nodes)} nodes, found k = {k}"
        raise ValueError(message)
    seed = int(rng.integers(_LARGEST_SEED))
    labels = KMeans(k, n_init=10, random_state=seed).fit(node_map.nodes).labels_
    people = np.bincount(labels[node_map.nearest(values)], minlength=k)
    ranks = np.argsort(np.argsort(-people, kind="stable"))
    return SomClusters(node_map, ranks[labels])


def _plane(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Nodes spread over the plane of the two widest axes, two SD to each side."""
    center = values.mean(axis=0)
    sizes, axes = np.linalg.eigh(np.cov(values.T))
    steps = [2 * at / at.max() - 1 for at in (rows, columns)]  # -1 to 1
    spread = 2 * np.sqrt(np.maximum(sizes[:-3:-1], 0.0))
    place = np.stack(steps, axis=1) * spread
    nodes: np.ndarray = center + place @ axes[:, :-3:-1].T
    return nodes
