"""Embed the nodes of a graph, or of its synopsis, and measure what the embedding is good for.

The embedding is NetMF: DeepWalk as the factorization of a matrix (Qiu and others, WSDM 2018,
<https://arxiv.org/abs/1710.02971>). The score is micro-F1 of a classifier of nodes, or the area
under the ROC curve of the prediction of edges that were hidden.
"""

from __future__ import annotations

import time

import numpy as np
from graph import coarsen, load_graph
from scipy import sparse
from scipy.sparse.linalg import eigsh
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cloudtune.trial import params, report

SPLITS = 3


def main() -> None:
    """Embed a graph with the parameters, and report the score on validation and test data."""
    p = {"task": "classification", "nodes": 1797, "window": 5, "negative": 1.0}
    p |= {"dimensions": 32, "power": 0.5, **params()}
    started = time.process_time()
    edges, classes = coarsen(*load_graph(), p["nodes"])
    evaluate = classify if p["task"] == "classification" else predict_links
    score, test_score = evaluate(edges, classes, p)
    seconds = time.process_time() - started
    report(score=score, test_score=test_score, cpu_seconds=seconds, step=p["nodes"])


def embed(edges: sparse.csr_array, p: dict) -> np.ndarray:
    """Return a vector for each node."""
    degrees = np.maximum(edges.sum(0), 1e-9)
    walk = (sparse.diags_array(1 / degrees) @ edges).toarray().astype(np.float32)
    walks = power = walk
    for _ in range(p["window"] - 1):
        power = walk @ power
        walks = walks + power
    scale = degrees.sum() / (p["window"] * p["negative"]) / degrees
    similarity = np.log(np.maximum(walks * scale.astype(np.float32), 1))
    size = min(p["dimensions"], len(similarity) - 2)
    start = np.ones(len(similarity))
    values, vectors = eigsh((similarity + similarity.T) / 2, k=size, v0=start, tol=1e-3)
    vectors = vectors * np.maximum(np.abs(values), 1e-9) ** p["power"]
    return vectors / vectors.std()


def classify(edges: sparse.csr_array, classes: np.ndarray, p: dict) -> tuple[float, float]:
    """Learn the classes of 5 % of the nodes, validate on half of the others, test on the rest."""
    vectors, labels = embed(edges, p), classes.argmax(1)
    scores = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(labels))
        size = max(20, len(labels) // 20)
        train, valid, test = np.split(order, [size, (len(labels) + size) // 2])
        model = LogisticRegression(max_iter=1000).fit(vectors[train], labels[train])
        scores.append([model.score(vectors[part], labels[part]) for part in (valid, test)])
    score, test_score = np.mean(scores, axis=0)
    return score, test_score


def predict_links(edges: sparse.csr_array, _: np.ndarray, p: dict) -> tuple[float, float]:
    """Hide a fifth of the edges, embed the rest, and tell hidden edges from pairs without one."""
    rng = np.random.default_rng(0)
    pairs = np.argwhere(sparse.triu(edges, 1).toarray())
    hidden, shown = np.split(rng.permutation(pairs), [len(pairs) // 5])
    rows, columns = shown.T
    upper = sparse.csr_array((edges[rows, columns], (rows, columns)), edges.shape)
    vectors = embed(sparse.csr_array(upper + upper.T), p)

    others = rng.integers(edges.shape[0], size=(2 * len(hidden), 2))
    is_free = (edges[others[:, 0], others[:, 1]] == 0) & (others[:, 0] != others[:, 1])
    both = np.concatenate([hidden, others[is_free][: len(hidden)]])
    exists = np.arange(len(both)) < len(hidden)
    likeness = (vectors[both[:, 0]] * vectors[both[:, 1]]).sum(1)
    score, test_score = (roc_auc_score(exists[half::2], likeness[half::2]) for half in (0, 1))
    return score, test_score


if __name__ == "__main__":
    main()
