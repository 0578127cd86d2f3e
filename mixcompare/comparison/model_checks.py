"""What the comparison asks of the model itself: its priors, its fit to the data, its units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd
import xarray as xr

from mixcompare.checking.leave_one_out import LeaveOneOut, leave_one_out
from mixcompare.checking.posterior_predictive import PredictiveCheck, posterior_predictive
from mixcompare.checking.prior_predictive import PriorPredictive, prior_predictive
from mixcompare.checking.sensitivity import prior_sensitivity
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit
from mixcompare.labels import IntArray

_DRAWS: Final = 200
_FEWEST_DRAWS: Final = 50
_MOST_VALUES: Final = 50_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """Checks of the model that both backends have fitted.

    Attributes
    ----------
    prior, posterior
        Predictive checks; classes are numbered as EM's.
    sensitivity
        See `mixcompare.checking.sensitivity.prior_sensitivity`.
    loo
        Leave-one-unit-out cross-validation.
    """

    prior: PriorPredictive
    posterior: PredictiveCheck
    sensitivity: pd.DataFrame
    loo: LeaveOneOut


def check_model(
    posterior_fit: Fit, permutation: IntArray, aligned: xr.Dataset, threshold: float, refit: int
) -> Checks:
    """Run every check of a posterior.

    Parameters
    ----------
    permutation, aligned
        (chain, draw, K) that renumber draws to match EM's, and the parameters so renumbered.
    threshold
        Sensitivity from which a parameter counts as the prior's.
    refit
        See `mixcompare.checking.leave_one_out.leave_one_out`.
    """
    panel, seed = posterior_fit.panel, posterior_fit.seed
    draws = _affordable(panel)
    return Checks(
        prior=prior_predictive(posterior_fit.spec, panel, draws=draws, seed=seed),
        posterior=posterior_predictive(
            posterior_fit, draws=draws, seed=seed, permutation=permutation
        ),
        sensitivity=prior_sensitivity(posterior_fit, aligned, threshold=threshold),
        loo=leave_one_out(posterior_fit, refit=refit, seed=seed),
    )


def _affordable(panel: Panel) -> int:
    """Draws of outcomes: fewer where the panel is large."""
    return int(min(_DRAWS, max(_FEWEST_DRAWS, _MOST_VALUES // panel.outcomes.size)))
