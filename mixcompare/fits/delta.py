"""Standard errors of functions of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError, OptionError
from mixcompare.base.suggest import kind_of
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.fits.summary import Z

# Of a standard error: small against the function's curvature, large against rounding.
_STEP = 1e-4


def delta_method(fit: Fit, function: Callable[[xr.Dataset], Any]) -> pd.DataFrame:
    """Estimate, standard error and 95 % interval of a function of EM's parameters.

    First-order propagation of error (van der Vaart 1998, section 3.1): the function's
    derivatives by every reported parameter are taken by central differences and
    combined with the parameters' covariance matrix, whichever method made it.

    Parameters
    ----------
    fit
        A fit with ``backend="em"`` and standard errors.
    function
        Takes a dataset with ``weights`` (mixture_component), ``coefficients``
        (mixture_component, covariate, outcome) and ``covariance`` (mixture_component,
        outcome, outcome_bis) and gives a number or a one-dimensional array of them.

    Returns
    -------
    Columns estimate, se, lower, upper; one row per number. NaN where it depends on a
    parameter whose standard error is withheld.

    Raises
    ------
    DataError
        If the fit has no standard errors, with the reason.
    OptionError
        If the function asks for what the fit does not have, gives something else or a value
        that is not finite.

    Examples
    --------
    >>> import mixcompare as mc
    >>> spec = mc.MixtureSpec("y ~ 1", n_components=2, covariance_by="shared")
    >>> fit = mc.fit(spec, {"y": [0.1, 0.3, -0.2, 0.2, 9.8, 10.1, 10.3, 9.9, 10.2]}, seed=1)
    >>> gap = lambda p: p["coefficients"][0, 0, 0] - p["coefficients"][1, 0, 0]
    >>> delta_method(fit, gap).round(3).to_dict("records")
    [{'estimate': 9.96, 'se': 0.125, 'lower': 9.715, 'upper': 10.205}]
    """
    check_fit(fit, "delta_method")
    if not callable(function):
        raise OptionError(
            "delta_method takes a function of the parameters, such as lambda p: "
            f"p['weights'][0], not {kind_of(function)}."
        )
    if not fit.is_optimum:
        raise DataError("the delta method needs a fit with backend='em'; transform draws instead.")
    covariance = fit.errors.covariance
    unknown = np.isnan(np.diag(covariance))
    if unknown.all():
        raise DataError(f"the fit has no standard errors: {fit.errors.reason}.")
    covariance = np.where(unknown | unknown[:, None], 0.0, covariance)
    centre = fit.layout.flatten(fit.estimate)
    value = _evaluate(fit, function, centre)
    steps = _STEP * np.where(unknown, np.maximum(np.abs(centre), 1), np.sqrt(np.diag(covariance)))
    slopes = np.zeros((len(value), len(centre)))
    for i in np.flatnonzero(steps > 0):
        move = steps[i] * np.eye(len(centre))[i]
        ahead, behind = (_evaluate(fit, function, centre + sign * move) for sign in (1, -1))
        slopes[:, i] = (ahead - behind) / (2 * steps[i])
    variance = np.einsum("ai,ij,aj->a", slopes, covariance, slopes)
    se = np.sqrt(np.clip(variance, 0, None))
    se[(slopes[:, unknown] != 0).any(axis=1)] = np.nan
    return pd.DataFrame(
        {"estimate": value, "se": se, "lower": value - Z * se, "upper": value + Z * se}
    )


def _evaluate(fit: Fit, function: Callable[[xr.Dataset], Any], vector: FloatArray) -> FloatArray:
    estimate = fit.tree["estimate"].to_dataset()
    arrays = fit.layout.unflatten(vector)
    given = estimate[list(arrays)].copy(data=arrays)
    try:
        values = np.atleast_1d(np.asarray(function(given), dtype=np.float64))
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        listed = "; ".join(f"{n} ({', '.join(map(str, given[n].dims))})" for n in given.data_vars)
        places = ", ".join(f"{d} {list(map(str, given[d].to_numpy()))}" for d in given.indexes)
        reason = " ".join(str(error).split())
        raise OptionError(
            f"the function fails on the fit's parameters ({type(error).__name__}: {reason}). They "
            f"are {listed}, with {places}."
        ) from error
    if values.ndim != 1 or not np.all(np.isfinite(values)):
        raise OptionError(
            "the function must give a finite number or a one-dimensional array of them, not "
            f"{values!r}."
        )
    return values
