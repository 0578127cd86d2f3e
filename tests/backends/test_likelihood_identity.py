"""The two backends, which share no arithmetic, and the raw rows give one log-likelihood."""

from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends import get_backend
from mixcompare.prepared.problem import Problem
from tests.em_cases import STRUCTURES, Case, build, normal_arrays, random_parameters, simulate
from tests.raw_referee import raw_unit_log_likelihood
from tests.scored import blocks, unit_log_likelihood

PARTS: list[dict[str, Any]] = [
    {},
    {"absorb": True},
    {"common": "~ x2"},
    {"membership": "~ income"},
    {"unit_weights": "count"},
    {"absorb": True, "common": "~ x1", "membership": "~ income", "unit_weights": "count"},
]
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}

every_part = pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "-".join(parts) or "plain")
every_structure = pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
sizes = pytest.mark.parametrize(("m", "k"), [(1, 2), (2, 3)])


@every_part
@every_structure
@sizes
def test_one_log_likelihood_at_random_parameters(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    case = build(covariance, by, m=m, k=k, seed=10 * m + k, **parts)
    for seed in (1, 2):
        at = random_parameters(case, seed=seed)
        arrays = normal_arrays(at)
        em, pymc = (
            unit_log_likelihood(name, case.spec, case.panel, *arrays) for name in ("em", "pymc")
        )
        assert em.sum() == pytest.approx(pymc.sum(), rel=1e-9)
        np.testing.assert_allclose(em, pymc, **CLOSE)
        raw = raw_unit_log_likelihood(case.panel, *arrays)
        np.testing.assert_allclose(pymc, raw, **CLOSE)


@every_part
@every_structure
@sizes
def test_scorers_agree_on_fitted_and_on_new_rows(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    case = build(covariance, by, m=m, k=k, seed=10 * m + k, **parts)
    at = several(case, 3)
    problem = Problem.of(case.spec, case.panel)
    others = mc.build_panel(case.spec, simulate(m=m, k=k, seed=99, units=17))
    em, pymc = (get_backend(name).scorer(problem) for name in ("em", "pymc"))
    for new, panel in ((None, case.panel), (Problem.of(case.spec, others), others)):
        density = em.log_density(at, new)
        assert density.shape == (3, panel.n_units, k)
        np.testing.assert_allclose(density, pymc.log_density(at, new), **CLOSE)
        occupancy = em.occupancy(at, new)
        np.testing.assert_allclose(occupancy, pymc.occupancy(at, new), **CLOSE)
        np.testing.assert_allclose(occupancy.sum(axis=-1), 1, rtol=1e-12)
        by_unit = em.unit_log_likelihood(at, new)
        assert by_unit.shape == (3, panel.n_units)
        np.testing.assert_allclose(by_unit, pymc.unit_log_likelihood(at, new), **CLOSE)
        for s, found in enumerate(by_unit):
            one = {name: values[s] for name, values in at.items()}
            np.testing.assert_allclose(found, raw_unit_log_likelihood(panel, **one), **CLOSE)


def several(case: Case, n: int) -> dict[str, Any]:
    """Random parameters (S, ...) by block."""
    each = [random_parameters(case, seed=seed) for seed in range(n)]
    sets = [blocks(*normal_arrays(at)) for at in each]
    return {name: np.concatenate([one[name] for one in sets]) for name in sets[0]}
