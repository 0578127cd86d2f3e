"""Whether any responsibilities at all explain an M-step: then only the E-step need be wrong.

Given the parameters that a step has made, the equations of the exact M-step are linear in the
responsibilities: class sums, normal equations and residual cross-products. Whether there are
responsibilities between zero and one, each unit's summing to one, that solve them is a linear
programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, kron, vstack

from mixcompare.auditing.matching import Case
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.regression import cross_products
from mixcompare.auditing.traced_problem import TracedProblem, determined, difference, exact_m_step
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.covariances import elements

# Units whose responsibilities are free; those of the others stay the exact ones.
_MOST_UNITS: Final = 1500
_STEPS: Final = 3


def any_explain(problem: TracedProblem, cases: Sequence[Case], tolerance: float) -> bool:
    """Whether each of some steps is an exact M-step from some responsibilities."""
    return all(_explains(problem, case, tolerance) for case in cases[:_STEPS])


def _explains(problem: TracedProblem, case: Case, tolerance: float) -> bool:
    after = case.after.stated
    exact = case.before.expected.occupancy
    if abs(after.weights.sum() - 1) > tolerance * case.allowed("weights"):
        return False
    tau = solve(problem, after, exact)
    if tau is None:
        return False
    exact_step = exact_m_step(problem, tau, case.before.parameters)
    moved = difference(problem, after, exact_step, determined(problem, tau))
    return moved.within(tolerance, case.slack)


def solve(problem: TracedProblem, after: Parameters, exact: FloatArray) -> FloatArray | None:
    """Responsibilities (G, K) from which the M-step makes given parameters, as nearly as it can.

    Parameters
    ----------
    exact
        (G, K) that the units keep which are not among the free ones.
    """
    g, k = exact.shape
    free = np.unique(np.linspace(0, g - 1, min(g, _MOST_UNITS)).round().astype(np.intp))
    fixed = np.setdiff1d(np.arange(g), free)
    blocks, known = [], []
    for j in range(k):
        equations = _equations(problem, after, j)
        blocks.append(equations[free].T)
        known.append(equations[fixed].T @ exact[fixed, j])
    left, right = _assemble(problem, blocks, known, after, free, exact[fixed])
    return _least_violation(left, right, exact, free)


def _equations(problem: TracedProblem, after: Parameters, j: int) -> FloatArray:
    """(G, Q) what each unit adds to a class's equations per responsibility, in standard sizes."""
    rows, m = problem.rows, after.covariance.shape[-1]
    gram, p = rows.versions["exact"].gram, rows.n_covariates
    beta, sigma = after.coefficients[j], after.covariance[j]
    mass = max(float(after.weights[j] * rows.degrees_of_freedom.sum()), 1e-9)
    scores = (gram[:, :p, p:] - gram[:, :p, :p] @ beta).reshape(len(gram), -1)
    squares = cross_products(gram, np.broadcast_to(beta, (len(gram), *beta.shape)))
    squares = squares - rows.degrees_of_freedom[:, None, None] * sigma
    sd = np.sqrt(np.diag(sigma))
    relative = squares / np.outer(sd, sd)
    places = elements(problem.spec.covariance, m)
    each = [sum(relative[:, a, b] for a, b in place) for place in places]
    return np.concatenate([scores, np.stack(each, axis=1)], axis=1) / mass


def _assemble(
    problem: TracedProblem,
    blocks: Sequence[FloatArray],
    known: Sequence[FloatArray],
    after: Parameters,
    free: IntArray,
    fixed: FloatArray,
) -> tuple[csr_array, FloatArray]:
    """Equations left tau = right, with tau (free units, K) row by row."""
    k, n = len(blocks), len(free)
    n_scores = after.coefficients[0].size
    units = n + len(fixed)
    parts, right = [], []
    for j in range(k):
        weight = np.full((1, n), 1 / units)
        of_class = blocks[j] if problem.by_component else blocks[j][:n_scores]
        equations = np.concatenate([weight, of_class])
        value = np.append(after.weights[j] - fixed[:, j].sum() / units, -known[j][: len(of_class)])
        parts.append(_spread(equations, j, k))
        right.append(value)
    if not problem.by_component:
        shares = after.weights
        pooled = [_spread(w * blocks[j][n_scores:], j, k) for j, w in enumerate(shares)]
        parts.append(sum(pooled[1:], start=pooled[0]))
        right.append(-sum(w * known[j][n_scores:] for j, w in enumerate(shares)))
    return csr_array(vstack(parts)), np.concatenate(right)


def _spread(block: FloatArray, j: int, k: int) -> csr_array:
    """(Q, n K) a block (Q, n) at the places of class j among all unknowns."""
    return csr_array(kron(csr_array(block), np.eye(k)[[j]]))


def _least_violation(
    left: csr_array, right: FloatArray, exact: FloatArray, free: IntArray
) -> FloatArray | None:
    k, n = exact.shape[1], len(free)
    q, size = left.shape
    one = csr_array(np.ones((q, 1)))
    sums = csr_array((np.ones(size), (np.repeat(np.arange(n), k), np.arange(size))), (n, size))
    programme = linprog(  # type: ignore[call-overload]  # the stubs know no sparse arrays
        np.append(np.zeros(size), 1.0),
        A_ub=vstack([hstack([left, -one]), hstack([-left, -one])]),
        b_ub=np.concatenate([right, -right]),
        A_eq=hstack([sums, csr_array((n, 1))]),
        b_eq=np.ones(n),
        bounds=[(0, 1)] * size + [(0, None)],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not programme.success:
        return None
    tau = exact.copy()
    tau[free] = np.clip(programme.x[:-1].reshape(n, k), 0.0, 1.0)
    return np.asarray(tau / tau.sum(axis=1, keepdims=True))
