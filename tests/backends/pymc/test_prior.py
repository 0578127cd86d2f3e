"""The PyMC model's prior is the specification's, on the original scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pytensor.compile.mode import Mode
from scipy.linalg import helmert
from scipy.stats import dirichlet, invgamma, invwishart, multivariate_normal, norm

from mixcompare.backends.pymc import build_model, scorer
from mixcompare.data.panel import build_panel
from mixcompare.model.spec import MixtureSpec, Priors
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import ResolvedPriors, resolve_priors
from tests.scored import blocks

PYTHON = Mode(linker="py", optimizer="fast_compile")
STRUCTURES: list[tuple[int, str, str, dict[str, Any]]] = [
    (1, "full", "component", {}),
    (2, "full", "component", {}),
    (2, "full", "shared", {}),
    (3, "full", "component", {}),
    (2, "diagonal", "component", {}),
    (2, "spherical", "component", {}),
    (2, "spherical", "shared", {}),
    (2, "full", "component", {"common": "~ x"}),
    (1, "full", "component", {"common": "~ 1 + x"}),
    (1, "full", "shared", {"membership": "~ age + size", "n_components": 3}),
    (2, "full", "component", {"common": "~ 1", "membership": "~ age", "unit_weights": "n"}),
]


def prepare(spec: MixtureSpec) -> PreparedPanel:
    return problem(spec).factors


def problem(spec: MixtureSpec) -> Problem:
    rng = np.random.default_rng(8)
    n = 60
    x = rng.normal(3, 2, size=n)
    noise = rng.normal(size=(n, 3)) @ np.array([[2.0, 1.0, 0], [0, 0.5, 0], [0, 0, 30.0]])
    columns = {f"y{j}": 5 * j + x + noise[:, j] for j in range(3)}
    unit = np.arange(n) // 5
    table = pd.DataFrame({"x": x, "unit": unit, **columns})
    table["age"], table["size"] = rng.normal(50, 9, size=12)[unit], rng.normal(size=12)[unit]
    table["n"] = rng.choice([0.5, 2.0], size=12)[unit]
    return Problem.of(spec, build_panel(spec, table))


def specification(m: int, covariance: Any, by: Any, **parts: Any) -> MixtureSpec:
    outcomes = " + ".join(f"y{j}" for j in range(m))
    return MixtureSpec(
        f"{outcomes} ~ x",
        unit="unit",
        n_components=parts.pop("n_components", 2),
        covariance=covariance,
        covariance_by=by,
        **parts,
        priors=Priors(
            concentration=3.0,
            coefficient_mean={"x": 0.7},
            coefficient_sd={"x": {"y0": 0.3}},
            covariance_df=m + 2.5,
        ),
    )


def is_common(spec: MixtureSpec) -> Any:
    return [spec.common is not None and name in spec.common for name in ("1", "x")]


def prior_density(spec: MixtureSpec, priors: ResolvedPriors, values: dict[str, Any]) -> float:
    """The prior as the design writes it, in original units."""
    nu, psi = priors.covariance_df, priors.covariance_scale
    if priors.membership_precision is not None:
        # The K - 1 orthonormal contrasts of the classes' coefficients are independent.
        contrasts = helmert(spec.n_components) @ values["membership_coefficients"]
        spread = np.linalg.inv(priors.membership_precision)
        total = multivariate_normal(cov=spread).logpdf(contrasts).sum()
    else:
        alpha = np.full(spec.n_components, priors.concentration)
        total = dirichlet(alpha).logpdf(values["weights"])
    each = norm(priors.coefficient_mean, priors.coefficient_sd).logpdf(values["coefficients"])
    common = np.array(is_common(spec))
    total += each[:, ~common].sum() + each[0, common].sum()
    sigma = values["covariance"]
    for matrix in sigma if spec.covariance_by == "component" else sigma[:1]:
        if spec.covariance == "full":
            total += invwishart(nu, psi).logpdf(matrix)
        elif spec.covariance == "diagonal":
            total += invgamma(nu / 2, scale=np.diag(psi) / 2).logpdf(np.diag(matrix)).sum()
        else:
            total += invgamma(nu / 2, scale=np.mean(np.diag(psi)) / 2).logpdf(matrix[0, 0])
    return float(total)


def free_parameters(spec: MixtureSpec, values: dict[str, Any]) -> Any:
    """The coordinates in which the prior has its density."""
    b, sigma = values["coefficients"], values["covariance"]
    sigma = sigma if spec.covariance_by == "component" else sigma[:1]
    m = sigma.shape[-1]
    places = {
        "full": np.tril_indices(m),
        "diagonal": (np.arange(m), np.arange(m)),
        "spherical": (np.zeros(1, int), np.zeros(1, int)),
    }[spec.covariance]
    classes = values["weights"][:-1]
    if "membership_coefficients" in values:
        classes = (helmert(spec.n_components) @ values["membership_coefficients"]).ravel()
    common = np.array(is_common(spec))
    own, shared = b[:, ~common].ravel(), b[0, common].ravel()
    covariances = sigma[:, places[0], places[1]].ravel()
    return np.concatenate([classes, own, shared, covariances])


_ARRAYS = ("weights", "membership_coefficients", "coefficients", "covariance")


class Unconstrained:
    """A model's log density and parameters as functions of one flat vector."""

    def __init__(self, model: pm.Model) -> None:
        self.start = model.initial_point()
        self.names = [name for name in _ARRAYS if name in model.named_vars]
        outputs = model.replace_rvs_by_values([model[name] for name in self.names])
        self.log_density = model.compile_logp(mode=PYTHON)
        self._parameters = model.compile_fn(
            outputs, inputs=model.value_vars, mode=PYTHON, on_unused_input="ignore"
        )

    def parameters(self, flat: Any) -> dict[str, Any]:
        return dict(zip(self.names, self._parameters(self.point(flat)), strict=True))

    @property
    def size(self) -> int:
        return sum(value.size for value in self.start.values())

    def point(self, flat: Any) -> dict[str, Any]:
        ends = np.cumsum([value.size for value in self.start.values()])[:-1]
        parts = np.split(flat, ends)
        return {
            name: part.reshape(value.shape)
            for (name, value), part in zip(self.start.items(), parts, strict=True)
        }


@pytest.mark.parametrize(("m", "covariance", "by", "parts"), STRUCTURES)
def test_log_density_is_prior_times_likelihood_in_original_units(
    m: int, covariance: str, by: str, parts: dict[str, Any]
) -> None:
    spec = specification(m, covariance, by, **parts)
    prepared = prepare(spec)
    unconstrained = Unconstrained(build_model(problem(spec)))
    flat = np.random.default_rng(m).normal(0, 0.7, size=unconstrained.size)

    def coordinates(at: Any) -> Any:
        return free_parameters(spec, unconstrained.parameters(at))

    step = 1e-5 * np.eye(len(flat))
    jacobian = [(coordinates(flat + h) - coordinates(flat - h)) / 2e-5 for h in step]
    parameters = unconstrained.parameters(flat)
    expected = (
        scorer(problem(spec)).unit_log_likelihood(blocks(**parameters)).sum()
        + prior_density(spec, resolve_priors(spec, prepared), parameters)
        + np.linalg.slogdet(np.array(jacobian))[1]
    )
    found = unconstrained.log_density(unconstrained.point(flat))
    assert found == pytest.approx(expected, abs=1e-5)


def test_one_class_has_a_constant_weight() -> None:
    spec = MixtureSpec("y0 ~ x", unit="unit", n_components=1)
    model = build_model(problem(spec))
    assert [rv.name for rv in model.free_RVs] == ["deviations", "precision_squares"]
    assert model["weights"].eval() == 1


def test_draws_from_the_prior_have_its_moments() -> None:
    spec = specification(2, "full", "component", common="~ x", membership="~ age")
    prepared = prepare(spec)
    priors = resolve_priors(spec, prepared)
    model = build_model(problem(spec))
    n = 4000
    b, sigma, odds = pm.draw(
        [model[name] for name in ("coefficients", "covariance", "membership_coefficients")],
        draws=n,
        random_seed=4,
        mode=PYTHON,
    )
    error = 5 / np.sqrt(n)
    standard = (b - priors.coefficient_mean) / priors.coefficient_sd
    assert np.abs(standard.mean(0)).max() < error
    assert np.abs(standard.std(0) - 1).max() < error
    assert (b[:, 0, 1] == b[:, 1, 1]).all()
    precision = np.linalg.inv(sigma).mean(0) / priors.covariance_df
    expected = np.linalg.inv(priors.covariance_scale)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((precision - expected) / scale).max() < 2 * error
    contrast = (odds[:, 1] - odds[:, 0]) / np.sqrt(2)
    assert priors.membership_precision is not None
    standard = contrast @ np.linalg.cholesky(priors.membership_precision)
    np.testing.assert_allclose(np.cov(standard.T), np.eye(2), atol=2 * error)


def test_the_weights_are_drawn_from_their_prior() -> None:
    spec = specification(1, "full", "component")
    model = build_model(problem(spec))
    weights = pm.draw(model["weights"], draws=4000, random_seed=4, mode=PYTHON)
    assert np.abs(weights.mean(0) - 0.5).max() < 5 / np.sqrt(4000)


def test_nothing_tells_one_class_from_another() -> None:
    spec = specification(2, "full", "component")
    model = build_model(problem(spec))
    unconstrained = Unconstrained(model)
    point = unconstrained.point(np.random.default_rng(0).normal(size=unconstrained.size))
    # Two weights have one log ratio, whose sign is the order of the classes.
    swapped = {
        name: -value if name.startswith("weights") else value[::-1] for name, value in point.items()
    }
    assert unconstrained.log_density(swapped) == pytest.approx(unconstrained.log_density(point))
