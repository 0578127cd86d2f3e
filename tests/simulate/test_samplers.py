"""Samplers of outcomes: one registry, and the same numbers for one set of parameters or several."""

from __future__ import annotations

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model import families
from mixcompare.simulate import samplers
from mixcompare.simulate.outcomes import simulate
from mixcompare.simulate.samplers import Blocks, draw_normal, register_sampler, sampler_of


def test_several_sets_are_drawn_as_one_after_the_other() -> None:
    rng = np.random.default_rng(1)
    s, n, k, p, m = 4, 30, 3, 2, 2
    root = rng.normal(size=(s, k, m, m))
    at = {
        "coefficients": rng.normal(size=(s, k, p, m)),
        "covariance": root @ root.swapaxes(-1, -2) + np.eye(m),
    }
    covariates, classes = rng.normal(size=(n, p)), rng.integers(k, size=(s, n))
    together = draw_normal(at, classes, covariates, np.random.default_rng(7))
    stream = np.random.default_rng(7)
    for i in range(s):
        one = {name: values[i] for name, values in at.items()}
        apart = draw_normal(one, classes[i], covariates, stream)
        np.testing.assert_allclose(together[i], apart, rtol=1e-13)
        noise = np.random.default_rng(7).standard_normal((s, n, m))[i]
        for row in range(n):
            c = classes[i, row]
            mean = covariates[row] @ at["coefficients"][i, c]
            drawn = mean + np.linalg.cholesky(at["covariance"][i, c]) @ noise[row]
            np.testing.assert_allclose(apart[row], drawn, rtol=1e-12)


def test_a_family_is_drawn_by_the_sampler_that_is_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(families, "FAMILIES", dict(families.FAMILIES))
    monkeypatch.setattr(samplers, "SAMPLERS", dict(samplers.SAMPLERS))
    families.register_family(families.Family("coin", "binary", links=("logit",)))
    spec = mc.MixtureSpec("y ~ x", n_components=2, family="coin")
    with pytest.raises(mc.SpecificationError, match="register_sampler"):
        sampler_of(spec)

    def coin(
        parameters: Blocks, classes: IntArray, covariates: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        odds = (covariates * parameters["coefficients"][classes, :, 0]).sum(axis=-1)
        return (rng.logistic(size=len(odds)) < odds).astype(float)[:, None]

    register_sampler("coin", coin)
    table = {"y": np.arange(2000) % 2, "x": np.repeat([0.0, 1.0], 1000)}
    panel = mc.build_panel(spec, table)
    at = {"weights": np.array([0.25, 0.75]), "coefficients": np.zeros((2, 2, 1))}
    at["coefficients"][:, 0, 0] = -40, 40
    drawn, classes = simulate(spec, panel, at, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn.outcomes[:, 0], classes)
    assert 0.7 < classes.mean() < 0.8
