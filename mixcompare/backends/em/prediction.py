"""Densities of rows that were not fitted, in the coordinates of those that were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixcompare.backends.em.expectation import class_log_density as standard_class_log_density
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import standardise
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel


def class_log_density(
    spec: MixtureSpec,
    training: PreparedPanel,
    new: PreparedPanel,
    coefficients: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """(S, G, K) log-densities of new units' rows given each class, constants in.

    Parameters
    ----------
    spec, training
        What was fitted: its pooled fit and scales keep the arithmetic safe, which few new
        rows could not.
    new
        Rows with the training panel's columns, G units.
    coefficients, covariance
        (S, K, p, m) and (S, K, m, m) of S sets of parameters, in the data's units.
    """
    fitted = standardise(spec, training)
    x, y = new.covariate_factor, new.outcome_factor
    data = replace(
        fitted,
        covariates=x @ fitted.unwhiten,
        outcomes=(y - x @ fitted.pooled) / fitted.scale,
        degrees_of_freedom=new.degrees_of_freedom.astype(float),
        unit_weights=None,
        concomitants=None,
    )
    weights = np.ones(coefficients.shape[:2])  # these play no part given the class
    at = data.from_raw(Parameters(weights, coefficients, covariance))
    return standard_class_log_density(data, at)
