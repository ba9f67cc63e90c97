"""An isolation forest as arrays: how few random cuts set a row apart from the others."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]

LEAF = -1
"""Child of a node that is a leaf."""

ROWS_AT_ONCE = 4096
"""Rows that go through all trees together; more need more memory, not less time."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees of random cuts, their nodes in tables of one row for each tree.

    Args:
        left: (trees, nodes), the node for values up to the cut; -1 in a leaf.
        right: (trees, nodes), the node for larger values.
        column: (trees, nodes), the column that is cut.
        cut: (trees, nodes), where it is cut.
        length: (trees, nodes), cuts from the root to a leaf, and those that would be expected
            further on if its rows were cut until each is alone.
        usual: Length that is expected of a row among as many as a tree was grown on.

    Source:
        Liu, Ting & Zhou (2008), https://doi.org/10.1109/ICDM.2008.17, equations 1 and 2
    """

    left: Numbers
    right: Numbers
    column: Numbers
    cut: Numbers
    length: Numbers
    usual: float

    @classmethod
    def grow(cls, rows: Numbers, seed: int, trees: int = 100, sample: int = 256) -> Self:
        """Grow trees on samples of the rows, (rows, columns), as scikit-learn does by default."""
        from sklearn.ensemble import IsolationForest

        sample = min(sample, len(rows))
        fitted = IsolationForest(n_estimators=trees, max_samples=sample, random_state=seed)
        grown = [each.tree_ for each in fitted.fit(rows.astype(np.float32)).estimators_]
        nodes = max(tree.node_count for tree in grown)

        def table(fill: float, kind: Any, *parts: Numbers) -> Numbers:
            made = np.full((len(parts), nodes), fill, dtype=kind)
            for row, part in zip(made, parts, strict=True):
                row[: len(part)] = part
            return made

        return cls(
            left=table(LEAF, np.int32, *(tree.children_left for tree in grown)),
            right=table(LEAF, np.int32, *(tree.children_right for tree in grown)),
            column=table(0, np.int32, *(tree.feature.clip(0) for tree in grown)),
            cut=table(0.0, np.float64, *(tree.threshold for tree in grown)),
            length=table(0.0, np.float64, *(_lengths(tree) for tree in grown)),
            usual=float(expected_length(np.array([sample]))[0]),
        )

    def score(self, rows: Numbers) -> NDArray[np.float64]:
        """Return how anomalous each row, (rows, columns), is: (rows,), from 0 to 1."""
        scores = np.zeros(len(rows))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE].astype(np.float32)
            scores[start : start + len(part)] = self._score(part)
        return scores

    def _score(self, rows: NDArray[np.float32]) -> Numbers:
        trees = np.arange(len(self.left))
        node = np.zeros((len(rows), len(trees)), dtype=np.int32)
        numbers = np.arange(len(rows))[:, None]
        while True:
            left = self.left[trees, node]
            inside = left != LEAF
            if not inside.any():
                break
            low = rows[numbers, self.column[trees, node]] <= self.cut[trees, node]
            further = np.where(low, left, self.right[trees, node])
            node = np.where(inside, further, node)
        mean = self.length[trees, node].mean(1)
        scores: Numbers = 2.0 ** (-mean / self.usual) if self.usual else np.full(len(rows), 0.5)
        return scores


def expected_length(rows: Numbers) -> NDArray[np.float64]:
    """Return the expected number of random cuts until a row is alone among so many.

    >>> expected_length(np.array([1, 2, 256])).round(3).tolist()
    [0.0, 1.0, 10.245]
    """
    many = np.maximum(rows, 3).astype(float)
    length = 2 * (np.log(many - 1) + np.euler_gamma) - 2 * (many - 1) / many
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, length))


def _lengths(tree: Any) -> Numbers:
    """Return the depth of each node, and what is expected below it."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # a child comes after its parent
        for child in (tree.children_left[node], tree.children_right[node]):
            if child != LEAF:
                depth[child] = depth[node] + 1
    lengths: Numbers = depth + expected_length(tree.n_node_samples)
    return lengths
