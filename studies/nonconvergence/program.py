"""An EM as one finds it: pandas and statsmodels, artists x countries x days, with switches.

All switches off it is exact EM for the model with absorbed artist-country effects and one
variance. Each switch turns one fault on that real programs have had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.special import logsumexp, softmax
from scipy.stats import norm

COVARIATES = ["ads", "playlists", "price"]


@dataclass(frozen=True)
class Faults:
    """What is wrong with the program.

    Attributes
    ----------
    scale
        Variance from the stacked regression's ``scale``.
    observation_major
        Weights stacked by ``DataFrame.stack`` against a design that is stacked by segment.
    raw
        The E-step's residuals are those of raw data, without the effects.
    effects_added_back
        The E-step's residuals are those of raw data less each segment's own effects: no fault.
    rows
        The variance divides by all rows, although each effect has used one.
    """

    scale: bool = False
    observation_major: bool = False
    raw: bool = False
    effects_added_back: bool = False
    rows: bool = False


class Program:
    """The program, once per panel; `step` does one iteration."""

    def __init__(self, panel: pd.DataFrame, segments: int, faults: Faults) -> None:
        self.panel, self.segments, self.faults = panel, segments, faults
        self.cells = panel.groupby(["artist", "country"])
        columns = ["streams", *COVARIATES]
        within = panel[columns] - self.cells[columns].transform("mean")
        self.y, self.x = within["streams"], within[COVARIATES]
        self.stacked_y = np.tile(self.y, segments)
        self.stacked_x = np.kron(np.eye(segments), self.x)
        self.used = 0 if faults.rows else self.cells.ngroups

    def start(self, seed: int) -> dict[str, Any]:
        """Least squares plus noise scaled by its standard errors; equal weights."""
        rng = np.random.default_rng(seed)
        pooled = sm.OLS(self.y, self.x).fit()
        noise = rng.normal(size=(self.segments, len(COVARIATES))) * pooled.bse.to_numpy()
        return {
            "weights": np.full(self.segments, 1 / self.segments),
            "coefficients": pooled.params.to_numpy() + noise,
            "covariance": pooled.ssr / (len(self.y) - self.used),
        }

    def residuals(self, coefficients: np.ndarray) -> np.ndarray:
        """(rows, segments) residuals that the E-step uses."""
        if not (self.faults.raw or self.faults.effects_added_back):
            return np.asarray(self.y.to_numpy()[:, None] - self.x.to_numpy() @ coefficients.T)
        prediction = self.panel[COVARIATES].to_numpy() @ coefficients.T
        rest = pd.DataFrame(self.panel["streams"].to_numpy()[:, None] - prediction)
        if self.faults.effects_added_back:
            keys = [self.panel["artist"], self.panel["country"]]
            rest = rest - rest.groupby(keys).transform("mean")
        return rest.to_numpy()

    def e_step(self, state: dict[str, Any]) -> tuple[pd.DataFrame, float]:
        """Segment probabilities of the artists, and the log-likelihood by its own count."""
        coefficients = np.asarray(state["coefficients"]).reshape(self.segments, -1)
        sd = np.sqrt(np.ravel(state["covariance"])[0])
        density = pd.DataFrame(norm.logpdf(self.residuals(coefficients), scale=sd))
        with np.errstate(divide="ignore"):
            joint = density.groupby(self.panel["artist"]).sum() + np.log(state["weights"])
        posterior = pd.DataFrame(softmax(joint, axis=1), joint.index, joint.columns)
        return posterior, float(logsumexp(joint, axis=1).sum())

    def step(self, state: dict[str, Any]) -> dict[str, Any]:
        """One iteration."""
        posterior, _ = self.e_step(state)
        by_row = posterior.loc[self.panel["artist"]].reset_index(drop=True)
        if self.faults.observation_major:
            weights = by_row.stack().to_numpy()  # noqa: PD013 (the fault)
        else:
            weights = by_row.to_numpy().T.ravel()
        fitted = sm.WLS(self.stacked_y, self.stacked_x, weights=weights).fit()
        variance = fitted.scale if self.faults.scale else fitted.ssr / (len(self.y) - self.used)
        return {
            "weights": posterior.mean().to_numpy(),
            "coefficients": fitted.params.reshape(self.segments, -1),
            "covariance": variance,
        }

    def run(self, iterations: int, seed: int) -> dict[str, np.ndarray]:
        """Parameters by iteration, the start included."""
        states = [self.start(seed)]
        for _ in range(iterations):
            states.append(self.step(states[-1]))
        return {name: np.stack([state[name] for state in states]) for name in states[0]}


def simulate(
    seed: int, *, artists: int = 30, countries: int = 4, days: int = 25, segments: int = 3
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Panel, true segment of each artist, true coefficients (segments, covariates).

    The effects of artist and country are large and move the covariates, as popularity does.
    """
    rng = np.random.default_rng(seed)
    truth = np.array([[0.8, 0.2, -0.3], [0.2, 0.6, -0.6], [0.4, -0.1, 0.0]])[:segments]
    segment = np.arange(artists) % segments
    index = pd.MultiIndex.from_product(
        [range(artists), range(countries), range(days)], names=["artist", "country", "day"]
    )
    panel = index.to_frame(index=False)
    effect = rng.normal(6.0, 1.5, size=artists * countries).repeat(days)
    levels = [2.0, 1.0, 3.0] + 0.3 * (effect - 6.0)[:, None] * [1.0, 1.0, 0.0]
    panel[COVARIATES] = levels + rng.normal(size=(len(panel), 3))
    slope = truth[segment[panel["artist"]]]
    mean = effect + (panel[COVARIATES].to_numpy() * slope).sum(axis=1)
    panel["streams"] = mean + rng.normal(0.0, 1.0, size=len(panel))
    return panel, segment, truth
