"""flexmix's concomitant variables and fixed coefficients (see tests/reference/README.md)."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from tests.places import REFERENCE
from tests.scored import unit_log_likelihood

TABLE = pd.read_csv(REFERENCE / "concomitant.csv")
CONCOMITANT = mc.MixtureSpec("y ~ x1 + x2", unit="unit", n_components=2, membership="~ income")
FIXED = mc.MixtureSpec("y ~ x1 + x2", unit="unit", n_components=2, common="~ x2")
# flexmix 2.3.18 under R 4.2.2: log-likelihood and estimates, classes as columns.
PEER: dict[str, tuple[float, Any, Any, Any, Any]] = {
    "concomitant": (
        -846.600652365913,
        [
            [0.969430042926081, -0.511702655882097],
            [1.050535859954895, -1.074239540144508],
            [0.711745656053976, 0.686021918838012],
        ],
        [0.586007464968031, 1.225633838633386],
        [0.459961857400373, 0.540038142599627],
        [[0.0, 0.0], [4.914173768849602, -0.122007187298424]],
    ),
    "fixed": (
        -867.200818238089,
        [
            [0.969859883469443, -0.505818712861963],
            [1.050372071942140, -1.072986620224236],
            [0.694304296798045, 0.694304296798045],
        ],
        [0.583007293305439, 1.224983049744253],
        [0.455380600551685, 0.544619399448315],
        None,
    ),
    "fixed, one variance": (
        -934.531581825011,
        [
            [0.935524168535748, -0.539564909529061],
            [1.01546716895236, -1.102963181372691],
            [0.708698132808011, 0.708698132808011],
        ],
        [0.98410808691109, 0.98410808691109],
        [0.483403598739761, 0.516596401260239],
        None,
    ),
}


@pytest.mark.parametrize("name", PEER)
def test_flexmix_likelihood_and_estimates(name: str) -> None:
    spec = CONCOMITANT if name == "concomitant" else FIXED
    if "one variance" in name:
        spec = spec.but(covariance_by="shared")
    log_likelihood, coefficients, sigma, weights, odds = PEER[name]
    by_class = np.array(coefficients).T[:, :, None]
    ours = unit_log_likelihood(
        "em",
        spec,
        mc.build_panel(spec, TABLE),
        np.array(weights),
        by_class,
        np.square(sigma)[:, None, None],
        None if odds is None else np.array(odds),
    )
    assert ours.sum() == pytest.approx(log_likelihood, abs=1e-8)
    # Its variance has the divisor n - p, so that its likelihood ends below the maximum.
    fit = mc.fit(spec, TABLE, starts=10)
    assert 0 < fit.log_likelihood - log_likelihood < 0.05
    # Its fixed coefficients weigh all classes alike, whatever their variances: not the
    # maximum unless there is one variance.
    near = 0.01 if name == "fixed" else 1e-3
    order = np.argsort(-np.array(weights))
    estimate = fit.coefficients.to_numpy()
    np.testing.assert_allclose(estimate, by_class[order], atol=near)
    found = np.sqrt(fit.covariance.to_numpy().ravel())
    np.testing.assert_allclose(found, np.array(sigma)[order], rtol=0.01)
    if odds is not None:
        slope = fit.tree["estimate"]["membership_coefficients"].to_numpy()[1]
        np.testing.assert_allclose(slope, -np.array(odds[1]), rtol=0.01)
