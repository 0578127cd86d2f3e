"""The posterior's density in coordinates without bounds, and the copies of a point."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytensor
import pytest
from pytensor.compile.mode import Mode

from mixcompare.backends.pymc.model import model_of
from mixcompare.backends.pymc.posterior_density import PosteriorDensity, posterior_density
from tests.em_cases import STRUCTURES, Case, build, random_parameters

PYTHON = Mode(linker="py", optimizer="fast_compile").including("stabilize")
PARTS: list[dict[str, Any]] = [
    {},
    {"common": "~ x2", "unit_weights": "count"},
    {"common": "~ x1", "membership": "~ income", "absorb": True},
]


def draws(case: Case, n: int) -> dict[str, np.ndarray]:
    drawn = [random_parameters(case, seed=seed) for seed in range(n)]
    names = ["weights", "coefficients", "covariance"]
    if case.prepared.concomitant_names:
        names.append("membership_coefficients")
    return {name: np.stack([one.blocks[name] for one in drawn]) for name in names}


def by_pymc(density: PosteriorDensity, points: np.ndarray) -> list[float]:
    """PyMC's log-density of its own value variables, transforms and constants included."""
    mixture = density.mixture
    model = model_of(mixture)
    values = [model.rvs_to_values[model[name]] for name in density.mixture.free_shapes]
    function = pytensor.function(values, model.logp(), mode=PYTHON, on_unused_input="ignore")
    sizes = np.cumsum([int(np.prod(shape)) for shape in density.mixture.free_shapes.values()])[:-1]
    return [
        float(
            function(
                *(
                    part.reshape(shape)
                    for part, shape in zip(
                        np.split(point, sizes), density.mixture.free_shapes.values(), strict=True
                    )
                )
            )
        )
        for point in points
    ]


@pytest.mark.parametrize("number", range(len(STRUCTURES)))
def test_is_pymcs_and_the_same_at_every_copy(number: int) -> None:
    (covariance, by), parts = STRUCTURES[number], PARTS[(number + number // 3) % 3]
    case = build(covariance, by, m=2, k=3, **parts)
    density = posterior_density(case.problem)
    at = draws(case, 2)
    points = density.coordinates(at)
    found = density(points)
    np.testing.assert_allclose(found, by_pymc(density, points), rtol=1e-10)
    copies = density.mixture.copies()
    assert copies.shape == (6, points.shape[1], points.shape[1])
    for copy, order in zip(copies, permutations(range(3)), strict=True):
        renumbered = {name: values[:, list(order)] for name, values in at.items()}
        np.testing.assert_allclose(points @ copy.T, density.coordinates(renumbered), atol=1e-8)
        np.testing.assert_allclose(density(points @ copy.T), found, rtol=1e-10)
        assert abs(np.linalg.det(copy)) == pytest.approx(1)


def test_one_class_has_one_copy() -> None:
    case = build("full", "component", m=1, k=1)
    density = posterior_density(case.problem)
    points = density.coordinates(draws(case, 3))
    np.testing.assert_array_equal(density.mixture.copies(), np.eye(points.shape[1])[None])
    np.testing.assert_allclose(density(points), by_pymc(density, points), rtol=1e-10)
