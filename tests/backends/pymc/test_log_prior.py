"""PyMC's log prior is EM's, and both have the same mode of the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from scipy.optimize import minimize

import mixcompare as mc
from mixcompare.backends.pymc.emissions.structure import Structure
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.model import model_of
from tests.em_cases import STRUCTURES, Case, build, normal_arrays, random_parameters
from tests.scored import blocks

PYTHON = Mode(linker="py", optimizer="fast_compile").including("stabilize")
PARTS: list[dict[str, Any]] = [
    {},
    {"common": "~ x2", "unit_weights": "count"},
    {"common": "~ x1", "membership": "~ income", "absorb": True},
]


def batch_of_one(case: Case, seed: int) -> tuple[Mixture, Any, dict[str, Any]]:
    at = random_parameters(case, seed=seed)
    mixture = build_mixture(case.problem)
    return mixture, at, mixture.free_values(blocks(*normal_arrays(at)))


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "-".join(parts) or "plain")
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
@pytest.mark.parametrize(("m", "k"), [(1, 2), (2, 3)])
def test_equals_ems_log_prior(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    case = build(covariance, by, m=m, k=k, with_prior=True, **parts)
    for seed in (1, 2):
        mixture, at, free = batch_of_one(case, seed)
        evaluation = evaluate(mixture, free, 1)
        found = sum(mixture.log_prior_by_parameter(free, evaluation.parameters).values())
        expected = case.model.log_prior(case.model.from_raw(at))
        np.testing.assert_allclose(found, [expected], rtol=1e-9)
        for name, value in evaluation.parameters.items():
            np.testing.assert_allclose(value[0], at.blocks[name], rtol=1e-8, atol=1e-10)


def bends(mixture: Mixture) -> np.ndarray[Any, Any]:
    """Powers of the squares by which densities of covariance and Bartlett factor differ."""
    response: Any = mixture.emissions[0]
    structure: Structure = response.term
    if structure.covariance != "full":
        return np.full(structure.n_squares, 2.0)
    m = structure.n_outcomes
    return (m + 1 + np.arange(m)) / 2 + 1


@pytest.mark.parametrize(
    ("covariance", "by", "m", "parts"),
    [
        ("full", "component", 1, {}),
        ("full", "shared", 2, {"common": "~ x2", "membership": "~ income"}),
        ("diagonal", "component", 2, {"absorb": True, "unit_weights": "count"}),
        ("spherical", "component", 2, {"common": "~ x1"}),
    ],
)
def test_mode_of_the_posterior_is_ems(
    covariance: str, by: str, m: int, parts: dict[str, Any]
) -> None:
    case = build(covariance, by, m=m, units=60, **parts)
    strict: dict[str, Any] = {"criterion": "parameters", "tolerance": 1e-11}
    em = mc.fit(case.spec, case.panel, estimator="map", seed=1, starts=10, **strict)
    tree = em.tree["estimate"].to_dataset()
    estimate = em.layout.take(tree)
    mixture = build_mixture(case.problem)
    free = {n: v[0] for n, v in mixture.free_values(blocks(**estimate)).items()}
    found = mode(mixture, mixture.unconstrained(free))
    for name, value in evaluate(mixture, found, 1).parameters.items():
        size = np.abs(estimate[name]).max(axis=0)
        assert (np.abs(value[0] - estimate[name]) <= 1e-6 * size).all(), name


def mode(mixture: Mixture, near: dict[str, Any]) -> dict[str, Any]:
    """Free variables at the highest density of the parameters themselves, (1, ...) each."""
    model = model_of(mixture)
    values = [model.rvs_to_values[model[name]] for name in near]
    squares = model.rvs_to_values[model["precision_squares"]]
    # The density of the covariance itself rather than of its Bartlett factor.
    density = model.logp(jacobian=False) + (squares * bends(mixture)).sum()
    outputs = [density, *pt.grad(density, values)]
    function = model.compile_fn(outputs, inputs=values, mode=PYTHON, point_fn=False)
    ends = np.cumsum([value.size for value in near.values()])[:-1]

    def split(flat: Any) -> list[Any]:
        parts = np.split(flat, ends)
        return [p.reshape(v.shape) for p, v in zip(parts, near.values(), strict=True)]

    def descent(flat: Any) -> Any:
        value, *slopes = function(*split(flat))
        return -value, -np.concatenate([slope.ravel() for slope in slopes])

    start = np.concatenate([value.ravel() for value in near.values()])
    moved = start + np.random.default_rng(0).uniform(-0.1, 0.1, size=start.size)
    result = minimize(descent, moved, jac=True, method="BFGS", options={"gtol": 1e-8})
    assert np.abs(descent(result.x)[1]).max() < 1e-4
    free = mixture.constrained(dict(zip(near, split(result.x), strict=True)))
    return {name: value[None] for name, value in free.items()}
