"""What is asked of the data follows the covariance's structure, and weights only weigh."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc

QUIET: dict[str, Any] = {"seed": 1, "starts": 10, "progress": False}


def clusters(rows: int, outcomes: int, k: int = 3) -> pd.DataFrame:
    """Clear clusters of equal size in many dimensions."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(k, outcomes), scale=3)[np.arange(rows) % k]
    values = centres + rng.normal(size=(rows, outcomes))
    return pd.DataFrame(values, columns=[f"v{j}" for j in range(outcomes)])


def spec(table: pd.DataFrame, k: int = 3, **options: str) -> mc.MixtureSpec:
    return mc.MixtureSpec(" + ".join(table.columns) + " ~ 1", n_components=k, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["component", "shared"])
@pytest.mark.parametrize("covariance", ["diagonal", "spherical"])
@pytest.mark.parametrize(("rows", "outcomes"), [(60, 40), (20, 50)])
def test_more_outcomes_than_rows_of_a_class(
    rows: int, outcomes: int, covariance: str, by: str
) -> None:
    table = clusters(rows, outcomes)
    fit = mc.fit(spec(table, covariance=covariance, covariance_by=by), table, **QUIET)
    assert fit.status == "converged"
    # Clusters this clear are three normals side by side, whose maximum is known.
    y, k = table.to_numpy(), np.arange(rows) % 3
    n = np.bincount(k)
    squares = np.stack([((y[k == i] - y[k == i].mean(axis=0)) ** 2).sum(axis=0) for i in range(3)])
    sizes = n[:, None]
    if by == "shared":
        squares, sizes = squares.sum(axis=0)[None], np.array([[rows]])
    variance = squares / sizes
    if covariance == "spherical":
        variance = np.broadcast_to(variance.mean(axis=1, keepdims=True), variance.shape)
    expected = n @ np.log(n / rows) - 0.5 * rows * outcomes
    expected -= 0.5 * (sizes * np.log(2 * np.pi * variance)).sum()
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-6)


def test_a_full_covariance_is_told_to_become_a_diagonal_one() -> None:
    table = clusters(20, 50)
    with pytest.raises(mc.DataError, match=r"50 outcomes and 20 rows.*19 rows.*'diagonal'"):
        mc.fit(spec(table), table)
    table = clusters(60, 40)
    with pytest.raises(mc.DegenerateFitError, match=r"needs over 41.*'diagonal'"):
        mc.fit(spec(table), table, **QUIET)


def test_weights_that_sum_to_one() -> None:
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(40), 4)
    x = rng.normal(size=160)
    y = np.where(unit < 20, 3, -1) * x + rng.normal(size=160)
    model = mc.MixtureSpec("y ~ x", unit="u", n_components=2, unit_weights="w")
    fits = []
    weights = rng.uniform(0.5, 2, size=40)[unit]
    for total in (40.0, 1.0, 1e-3):
        w = weights / weights[::4].sum() * total
        fit = mc.fit(model, pd.DataFrame({"u": unit, "x": x, "y": y, "w": w}), **QUIET)
        assert fit.status == "converged"
        fits.append((fit.log_likelihood / total, fit.coefficients.to_numpy()))
    for value, coefficients in fits[1:]:
        assert value == pytest.approx(fits[0][0], rel=1e-9)
        np.testing.assert_allclose(coefficients, fits[0][1], rtol=1e-6)


def test_equal_rows_are_counted() -> None:
    rng = np.random.default_rng(2)
    y = np.concatenate([np.zeros(120), rng.normal(5, 1, size=180)])
    with (
        pytest.warns(mc.DataWarning, match="120 of 300"),
        pytest.raises(mc.DegenerateFitError, match="onto the 120 of 300 units that are equal"),
    ):
        mc.fit(mc.MixtureSpec("y ~ 1", n_components=2), {"y": y}, **QUIET)
