"""Parameters to predict with: EM's estimate, or a posterior's aligned draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from mixcompare import labels
from mixcompare.backends import occupancy_in_batches
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.checks import check_whole
from mixcompare.base.errors import DataError
from mixcompare.data.new_rows import NewRows
from mixcompare.fits.fit import Fit
from mixcompare.model.capabilities import require


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """S sets of parameters; one where there is but an estimate.

    Attributes
    ----------
    blocks
        By the name of their block, as scorers take them, in the data's units: ``weights`` (S, K),
        ``coefficients`` (S, K, p, m), ``covariance`` (S, K, m, m), and with membership covariates
        ``membership_coefficients`` (S, K, c), log-odds against the first class.
    draws
        (S,) which of the posterior's draws they are, chain by chain; None for an estimate.
    """

    blocks: Mapping[str, FloatArray]
    draws: IntArray | None

    @property
    def weights(self) -> FloatArray:
        """(S, K) class weights."""
        return self.blocks["weights"]

    @property
    def coefficients(self) -> FloatArray:
        """(S, K, p, m) coefficients."""
        return self.blocks["coefficients"]

    @property
    def n_samples(self) -> int:
        """Number of sets, S."""
        return len(self.weights)

    def log_prior(self, concomitants: FloatArray | None) -> FloatArray:
        """(S, G, K) log-probabilities of the classes before outcomes; (S, 1, K) if all alike."""
        membership = self.blocks.get("membership_coefficients")
        if membership is None or concomitants is None:
            with np.errstate(divide="ignore"):
                return np.log(self.weights)[:, None, :]
        return np.asarray(log_softmax(concomitants @ membership.swapaxes(-1, -2), axis=-1))


def parameter_samples(fit: Fit, draws: int | None) -> Samples:
    """Parameters of a fit.

    Parameters
    ----------
    draws
        How many of the posterior's draws, evenly spread over the chains; None for all.

    Raises
    ------
    OptionError
        If there are not so many draws.
    """
    if not fit.has_draws:
        return Samples({name: values[None] for name, values in fit.estimate.items()}, None)
    aligned = fit.layout.permute(fit.draws.parameters, fit.draws.permutation)
    total = fit.log_likelihood_by_draw.size
    places = _spread(total, draws)
    blocks = {
        name: values.reshape(total, *values.shape[2:])[places] for name, values in aligned.items()
    }
    return Samples(blocks, places)


def _spread(total: int, draws: int | None) -> IntArray:
    if draws is None:
        return np.arange(total)
    check_whole("draws", draws, highest=total)
    return np.linspace(0, total - 1, draws).round().astype(np.intp)


def log_known(fit: Fit, samples: Samples, rows: NewRows) -> FloatArray:
    """(S, G, K) log-probabilities of the classes of units that were fitted, by their label.

    Raises
    ------
    DataError
        If a unit was not fitted.
    """
    require(fit.spec, "units='known'")
    position = {str(label): i for i, label in enumerate(fit.tree["panel"]["unit"].to_numpy())}
    unknown = [label for label in rows.unit_labels if str(label) not in position]
    if unknown:
        raise DataError(
            f"{len(unknown)} unit(s) were not fitted, the first is {fit.spec.unit}={unknown[0]!s}. "
            "Predict for them apart, with units='new'."
        )
    at = [position[str(label)] for label in rows.unit_labels]
    if samples.draws is None:
        responsibilities = fit.responsibilities.to_numpy()[None, at]
    else:
        permutation = fit.draws.permutation
        permutation = permutation.reshape(-1, permutation.shape[-1])[samples.draws]
        drawn = [tau[:, at] for tau in occupancy_in_batches(fit, samples.draws)]
        responsibilities = labels.permute(np.concatenate(drawn), permutation, axis=-1)
    with np.errstate(divide="ignore"):
        return np.log(responsibilities)
