"""The delta method against closed forms."""

from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.fits.delta import delta_method
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 + y2 ~ x1 + x2", unit="unit", n_components=2, covariance_by="shared")


@pytest.fixture(scope="module")
def fit() -> mc.Fit:
    return mc.fit(SPEC, simulate(m=2, units=80, rows=(4, 8), seed=4), starts=8, seed=1)


def test_parameters_themselves_have_their_own_standard_errors(fit: mc.Fit) -> None:
    table = delta_method(fit, lambda p: p["coefficients"].to_numpy().ravel())
    own = fit.tree["standard_errors"].to_dataset()["coefficients"].to_numpy().ravel()
    np.testing.assert_allclose(table["estimate"], fit.coefficients.to_numpy().ravel(), rtol=1e-12)
    np.testing.assert_allclose(table["se"], own, rtol=1e-7)
    np.testing.assert_allclose(
        (table["upper"] - table["lower"]) / table["se"], 2 * 1.959964, rtol=1e-6
    )


def test_ratio_of_coefficients_by_hand(fit: mc.Fit) -> None:
    def ratio(p: Any) -> Any:
        return p["coefficients"][0, 1, 0] / p["coefficients"][0, 2, 0]

    names = [p.name for p in fit.parameters]
    i, j = names.index("coefficients[1, x1, y1]"), names.index("coefficients[1, x2, y1]")
    covariance = fit.tree["standard_errors"]["parameter_covariance"].to_numpy()
    a, b = fit.coefficients.to_numpy()[0, 1:, 0]
    slope = np.array([1 / b, -a / b**2])
    expected = slope @ covariance[np.ix_([i, j], [i, j])] @ slope
    table = delta_method(fit, ratio)
    assert table["estimate"][0] == pytest.approx(a / b)
    assert table["se"][0] == pytest.approx(np.sqrt(expected), rel=1e-6)


def test_shared_and_symmetric_elements_move_together(fit: mc.Fit) -> None:
    def correlations(p: Any) -> Any:
        s = p["covariance"].to_numpy()
        return s[:, 0, 1] / np.sqrt(s[:, 0, 0] * s[:, 1, 1]) + s[:, 1, 0] - s[:, 0, 1]

    table = delta_method(fit, correlations)
    assert table["estimate"][0] == table["estimate"][1]
    assert table["se"][0] == pytest.approx(table["se"][1])
    rho, rows = table["estimate"][0], fit.panel.n_rows
    # Well separated classes: nearly the textbook (1 - rho^2) / sqrt(n).
    assert table["se"][0] == pytest.approx((1 - rho**2) / np.sqrt(rows), rel=0.1)


def test_weights_sum_to_one_without_error(fit: mc.Fit) -> None:
    table = delta_method(fit, lambda p: p["weights"].sum())
    assert table["se"][0] == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_propagated_is_refused(fit: mc.Fit) -> None:
    with pytest.raises(mc.OptionError, match="finite number"):
        delta_method(fit, lambda p: p["coefficients"].to_numpy())
    with pytest.raises(mc.OptionError, match="finite number"):
        delta_method(fit, lambda _: np.inf)
    with pytest.raises(mc.DataError, match="backend='em'"):
        delta_method(stand_in(fit, draws=10), lambda p: p["weights"][0])
    early = mc.fit(SPEC, fit.panel, starts=1, kinds="random", max_iterations=2, seed=1)
    with pytest.raises(mc.DataError, match="no standard errors"):
        delta_method(early, lambda p: p["weights"][0])
