"""Class probabilities and predictive densities of units, by the fit's own backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import logsumexp

from mixcompare.backends import get_backend
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError
from mixcompare.data.new_rows import NewRows
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit
from mixcompare.prediction.samples import Samples, log_known
from mixcompare.prepared.problem import Problem

Units = Literal["new", "known"]


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """What S sets of parameters say of G units.

    Attributes
    ----------
    prior
        (S, G, K) class probabilities before the outcomes.
    responsibilities
        (S, G, K) class probabilities given the outcomes.
    log_density
        (S, G) log-densities of the outcomes; 0 for units without any.
    """

    prior: FloatArray
    responsibilities: FloatArray
    log_density: FloatArray


def class_probabilities(fit: Fit, samples: Samples, rows: NewRows, units: Units) -> Classes:
    """Class probabilities before and given the outcomes.

    Parameters
    ----------
    units
        Whether units are new, or known and begin with what their fitted rows say.

    Raises
    ------
    DataError
        If outcomes are too far away to have a density, or a known unit was not fitted.
    """
    log_prior = (
        log_known(fit, samples, rows) if units == "known" else samples.log_prior(rows.concomitants)
    )
    shape = samples.n_samples, rows.n_units, samples.weights.shape[1]
    prior = np.exp(np.broadcast_to(log_prior, shape))
    responsibilities, density = prior.copy(), np.zeros(shape[:2])
    if rows.observed.any():
        panel, units_observed = rows.observed_panel(fit.panel)
        scorer = get_backend(fit.backend).scorer(fit.problem)
        given_class = scorer.log_density(samples.blocks, Problem.of(fit.spec, panel))
        joint = np.broadcast_to(log_prior, shape)[:, units_observed] + given_class
        density[:, units_observed] = logsumexp(joint, axis=-1)
        _check_possible(density[:, units_observed], panel)
        responsibilities[:, units_observed] = np.exp(joint - density[:, units_observed, None])
    return Classes(prior, responsibilities, density)


def _check_possible(density: FloatArray, panel: Panel) -> None:
    impossible = np.flatnonzero(~np.isfinite(density).all(axis=0))
    if impossible.size:
        raise DataError(
            f"the outcomes of the unit {panel.unit_labels[impossible[0]]!s} have no density that a "
            "double can hold. Look for a value that is wrong by many orders of magnitude."
        )
