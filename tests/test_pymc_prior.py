"""The PyMC model's prior is the specification's, on the original scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pytensor.compile.mode import Mode
from scipy.stats import dirichlet, invgamma, invwishart, norm

from mixcompare.backends.pymc import build_model
from mixcompare.backends.pymc.evaluate import unit_log_likelihood
from mixcompare.compress import PreparedPanel, compress
from mixcompare.panel import build_panel
from mixcompare.priors import ResolvedPriors, resolve_priors
from mixcompare.spec import MixtureSpec, Priors

PYTHON = Mode(linker="py", optimizer="fast_compile")
STRUCTURES = [
    (1, "full", "component"),
    (2, "full", "component"),
    (2, "full", "shared"),
    (3, "full", "component"),
    (2, "diagonal", "component"),
    (2, "spherical", "component"),
    (2, "spherical", "shared"),
]


def prepare(spec: MixtureSpec) -> PreparedPanel:
    rng = np.random.default_rng(8)
    n = 60
    x = rng.normal(3, 2, size=n)
    noise = rng.normal(size=(n, 3)) @ np.array([[2.0, 1.0, 0], [0, 0.5, 0], [0, 0, 30.0]])
    columns = {f"y{j}": 5 * j + x + noise[:, j] for j in range(3)}
    table = pd.DataFrame({"x": x, "unit": np.arange(n) // 5, **columns})
    return compress(build_panel(spec, table))


def specification(m: int, covariance: Any, by: Any) -> MixtureSpec:
    outcomes = " + ".join(f"y{j}" for j in range(m))
    return MixtureSpec(
        f"{outcomes} ~ x",
        unit="unit",
        n_components=2,
        covariance=covariance,
        covariance_by=by,
        priors=Priors(
            concentration=3.0,
            coefficient_mean={"x": 0.7},
            coefficient_sd={"x": {"y0": 0.3}},
            covariance_df=m + 2.5,
        ),
    )


def prior_density(
    spec: MixtureSpec, priors: ResolvedPriors, weights: Any, b: Any, sigma: Any
) -> float:
    """The prior as the design writes it, in original units."""
    nu, psi = priors.covariance_df, priors.covariance_scale
    total = dirichlet(np.full(len(weights), priors.concentration)).logpdf(weights)
    total += norm(priors.coefficient_mean, priors.coefficient_sd).logpdf(b).sum()
    for matrix in sigma if spec.covariance_by == "component" else sigma[:1]:
        if spec.covariance == "full":
            total += invwishart(nu, psi).logpdf(matrix)
        elif spec.covariance == "diagonal":
            total += invgamma(nu / 2, scale=np.diag(psi) / 2).logpdf(np.diag(matrix)).sum()
        else:
            total += invgamma(nu / 2, scale=np.mean(np.diag(psi)) / 2).logpdf(matrix[0, 0])
    return float(total)


def free_parameters(spec: MixtureSpec, weights: Any, b: Any, sigma: Any) -> Any:
    """The coordinates in which the prior has its density."""
    sigma = sigma if spec.covariance_by == "component" else sigma[:1]
    m = sigma.shape[-1]
    places = {
        "full": np.tril_indices(m),
        "diagonal": (np.arange(m), np.arange(m)),
        "spherical": (np.zeros(1, int), np.zeros(1, int)),
    }[spec.covariance]
    return np.concatenate([weights[:-1], b.ravel(), sigma[:, places[0], places[1]].ravel()])


class Unconstrained:
    """A model's log density and parameters as functions of one flat vector."""

    def __init__(self, model: pm.Model) -> None:
        self.start = model.initial_point()
        names = ("weights", "coefficients", "covariance")
        outputs = model.replace_rvs_by_values([model[name] for name in names])
        self.log_density = model.compile_logp(mode=PYTHON)
        self.parameters = model.compile_fn(
            outputs, inputs=model.value_vars, mode=PYTHON, on_unused_input="ignore"
        )

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


@pytest.mark.parametrize(("m", "covariance", "by"), STRUCTURES)
def test_log_density_is_prior_times_likelihood_in_original_units(
    m: int, covariance: str, by: str
) -> None:
    spec = specification(m, covariance, by)
    prepared = prepare(spec)
    unconstrained = Unconstrained(build_model(spec, prepared).model)
    flat = np.random.default_rng(m).normal(0, 0.7, size=unconstrained.size)

    def coordinates(at: Any) -> Any:
        return free_parameters(spec, *unconstrained.parameters(unconstrained.point(at)))

    step = 1e-5 * np.eye(len(flat))
    jacobian = [(coordinates(flat + h) - coordinates(flat - h)) / 2e-5 for h in step]
    parameters = unconstrained.parameters(unconstrained.point(flat))
    expected = (
        unit_log_likelihood(spec, prepared, *parameters).sum()
        + prior_density(spec, resolve_priors(spec, prepared), *parameters)
        + np.linalg.slogdet(np.array(jacobian))[1]
    )
    found = unconstrained.log_density(unconstrained.point(flat))
    assert found == pytest.approx(expected, abs=1e-5)


def test_one_class_has_a_constant_weight() -> None:
    spec = MixtureSpec("y0 ~ x", unit="unit", n_components=1)
    model = build_model(spec, prepare(spec)).model
    assert [rv.name for rv in model.free_RVs] == ["deviations", "precision_squares"]
    assert model["weights"].eval() == 1


def test_draws_from_the_prior_have_its_moments() -> None:
    spec = specification(2, "full", "component")
    prepared = prepare(spec)
    priors = resolve_priors(spec, prepared)
    model = build_model(spec, prepared).model
    n = 4000
    weights, b, sigma = pm.draw(
        [model["weights"], model["coefficients"], model["covariance"]],
        draws=n,
        random_seed=4,
        mode=PYTHON,
    )
    error = 5 / np.sqrt(n)
    assert np.abs(weights.mean(0) - 0.5).max() < error
    standard = (b - priors.coefficient_mean) / priors.coefficient_sd
    assert np.abs(standard.mean(0)).max() < error
    assert np.abs(standard.std(0) - 1).max() < error
    precision = np.linalg.inv(sigma).mean(0) / priors.covariance_df
    expected = np.linalg.inv(priors.covariance_scale)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((precision - expected) / scale).max() < 2 * error


def test_nothing_tells_one_class_from_another() -> None:
    spec = specification(2, "full", "component")
    model = build_model(spec, prepare(spec)).model
    unconstrained = Unconstrained(model)
    point = unconstrained.point(np.random.default_rng(0).normal(size=unconstrained.size))
    # Two weights have one log ratio, whose sign is the order of the classes.
    swapped = {
        name: -value if name.startswith("weights") else value[::-1] for name, value in point.items()
    }
    assert unconstrained.log_density(swapped) == pytest.approx(unconstrained.log_density(point))
