"""Posteriors under an ordering constraint are unconstrained ones, sorted."""

from __future__ import annotations

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.pymc import Options, result
from mixcompare.backends.pymc.exploration import Exploration
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.backends.pymc.ordering import ordering
from mixcompare.backends.pymc.samplers.sampling import Draws
from mixcompare.backends.pymc.samplers.starts import prior_draw
from tests.em_cases import build


@pytest.mark.parametrize(
    ("quantity", "names"),
    [
        ("weights", ["weights[1]", "weights[2]", "weights[3]"]),
        ("coefficients[x1, y2]", [f"coefficients[{k}, x1, y2]" for k in (1, 2, 3)]),
        ("covariance[y1, y1]", [f"covariance[{k}, y1, y1]" for k in (1, 2, 3)]),
    ],
)
def test_quantities_are_named_without_their_class(quantity: str, names: list[str]) -> None:
    case = build("full", "component", m=2, k=3)
    found = ordering(case.problem, quantity)
    assert [parameter.name for parameter in found] == names


def test_what_classes_share_cannot_order_them() -> None:
    case = build("full", "shared", m=1, k=2, common="~ x2")
    for quantity in ("covariance", "coefficients[x2]", "coeficients[x1]"):
        with pytest.raises(mc.OptionError, match=r"ordered by weights, .*coefficients\[x1\]"):
            ordering(case.problem, quantity)
    with pytest.raises(mc.OptionError, match="ordered_by must name a quantity"):
        Options(ordered_by=3)  # type: ignore[arg-type]


def test_every_draw_is_sorted_and_nothing_else_changes() -> None:
    """Draws of the prior serve as well as the posterior's."""
    case = build("full", "component", m=1, k=3)
    mixture = build_mixture(case.problem)
    start = prior_draw(mixture)
    drawn = [mixture.constrained(start(np.random.default_rng(seed), 0)) for seed in range(40)]
    variables = {
        name: np.stack([one[name] for one in drawn]).reshape(2, 20, *drawn[0][name].shape)
        for name in mixture.shapes
    }
    draws = Draws(variables, {"diverging": np.zeros((2, 20), dtype=bool)})
    plain, by_size = (
        result.build_result(case.problem, mixture, Exploration(draws, None), Options(ordered_by=by))
        for by in (None, "coefficients[x1]")
    )
    assert by_size.draws is not None
    assert plain.draws is not None
    for name, kept in by_size.draws.parameters.items():
        np.testing.assert_array_equal(kept, plain.draws.parameters[name])
    permutation = by_size.draws.permutation
    x1 = case.prepared.covariate_names.index("x1")
    raw = by_size.draws.parameters["coefficients"][..., x1, 0]
    ordered = np.take_along_axis(raw, permutation, axis=-1)
    np.testing.assert_array_equal(ordered, np.sort(raw, axis=-1))
    estimate = by_size.parameters["coefficients"][:, x1]
    np.testing.assert_allclose(estimate[:, 0], np.sort(raw, axis=-1).mean(axis=(0, 1)))
    assert "numbered by coefficients[x1]" in by_size.message
