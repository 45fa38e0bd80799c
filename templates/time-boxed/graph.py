"""A real graph, and smaller versions of it.

Each of the 1,797 nodes is a picture of a handwritten digit, with edges to the ten pictures most
like it. A synopsis is the graph with nodes merged in pairs along heavy edges, until a given number
is left: the first step of multilevel graph partitioning (Karypis and Kumar, 1998,
<https://doi.org/10.1137/S1064827595287997>). It keeps large structures and loses small ones.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph


def load_graph() -> tuple[sparse.csr_array, np.ndarray]:
    """Return the edges as a symmetric matrix, and the class of each node, one-hot."""
    images, classes = load_digits(return_X_y=True)
    nearest = sparse.csr_array(kneighbors_graph(images, 10))
    return sparse.csr_array(((nearest + nearest.T) > 0).astype(float)), np.eye(10)[classes]


def coarsen(
    edges: sparse.csr_array, classes: np.ndarray, nodes: int
) -> tuple[sparse.csr_array, np.ndarray]:
    """Return a synopsis with a number of nodes. Weights and classes of merged nodes add up."""
    rng = np.random.default_rng(0)
    while edges.shape[0] > nodes:
        groups = match(edges, edges.shape[0] - nodes, rng)
        if groups.max() + 1 == len(groups):
            break  # no node has a neighbor
        merge = sparse.csr_array((np.ones(len(groups)), (np.arange(len(groups)), groups)))
        edges = sparse.csr_array(merge.T @ edges @ merge)
        edges.setdiag(0)
        edges.eliminate_zeros()
        classes = merge.T @ classes
    return edges, classes


def match(edges: sparse.csr_array, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return a group for each node: alone, or with its unmatched neighbor of the heaviest edge."""
    groups, count = np.full(edges.shape[0], -1), 0
    for node in rng.permutation(edges.shape[0]):
        if groups[node] >= 0:
            continue
        groups[node] = count
        row = slice(edges.indptr[node], edges.indptr[node + 1])
        free = groups[edges.indices[row]] < 0
        if most > 0 and free.any():
            heaviest = np.where(free, edges.data[row], -1).argmax()
            groups[edges.indices[row][heaviest]] = count
            most -= 1
        count += 1
    return groups
