"""A change of covariates that makes data and prior together well conditioned."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from mixcompare.base.arrays import FloatArray


def whiten(x: FloatArray, prior_rows: FloatArray, total: float) -> tuple[FloatArray, FloatArray]:
    """Z and an upper triangular T such that ``Z = x @ T``.

    Columns of ``[x; prior_rows] T`` are orthogonal, of squared length `total`.
    """
    rows = np.concatenate([x, prior_rows])
    norm = np.linalg.norm(rows, axis=0)
    q, triangle = np.linalg.qr(rows / norm)
    inverse = solve_triangular(triangle, np.eye(len(norm)))
    return q[: len(x)] * np.sqrt(total), inverse * np.sqrt(total) / norm[:, None]
