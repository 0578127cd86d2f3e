"""More than two fits of one model: which is compared with which, and all side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixcompare import labels
from mixcompare.errors import DataError
from mixcompare.fit import Fit, permute_posterior
from mixcompare.metrics import total_variation
from mixcompare.panel import FloatArray
from mixcompare.parameters import flatten


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """The fits in their roles.

    Attributes
    ----------
    em
        The maximum of the likelihood, to which everything is aligned.
    posterior
        The draws that it is compared with in detail.
    mode
        The mode of the posterior by EM, if it was given.
    others
        Further posteriors.
    """

    em: Fit
    posterior: Fit
    mode: Fit | None
    others: tuple[Fit, ...]

    @property
    def named(self) -> dict[str, Fit]:
        """Every fit under a name of its own, in the order of the tables."""
        found: dict[str, Fit] = {"EM": self.em}
        if self.mode is not None:
            found["EM, mode of the posterior"] = self.mode
        for fit in (self.posterior, *self.others):
            name = str(fit.options["sampler"])
            number = 2
            while name in found:
                name, number = f"{fit.options['sampler']} ({number})", number + 1
            found[name] = fit
        return found


def arrange(fits: Sequence[Fit]) -> Arranged:
    """Sort fits by what they are: EM's maximum and mode, and posteriors.

    Raises
    ------
    DataError
        If there is not one EM fit with estimator "ml" and at least one posterior, there are
        two of what there can be one of, or models or data differ.
    """
    posteriors = [fit for fit in fits if fit.backend == "pymc"]
    climbed = [fit for fit in fits if fit.backend != "pymc"]
    modes = [fit for fit in climbed if fit.options["estimator"] == "map"]
    maxima = [fit for fit in climbed if fit.options["estimator"] == "ml"]
    if len(maxima) != 1 or len(modes) > 1 or not posteriors:
        raise DataError(
            "compare needs one fit with backend='em', at most one more with estimator='map', and "
            f"one or more with backend='pymc'; it was given {len(maxima)}, {len(modes)} and "
            f"{len(posteriors)}."
        )
    em = maxima[0]
    for fit in fits:
        if fit.spec != em.spec:
            raise DataError(f"the fits have different models: {em.spec} and {fit.spec}.")
        if fit.fingerprint != em.fingerprint:
            raise DataError(
                "the fits were made on different data (their fingerprints differ). Fit all to the "
                "same table."
            )
    return Arranged(em, posteriors[0], modes[0] if modes else None, tuple(posteriors[1:]))


def aligned_estimate(fit: Fit, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Estimates (P,) and responsibilities (G, K), components numbered as the reference's."""
    tau = fit.responsibilities.to_numpy()
    order = labels.align_to_reference(tau, reference)
    estimate = permute_posterior(fit.tree["estimate"].to_dataset(), order)
    return flatten(estimate, fit.parameters), tau[:, order]


def side_by_side(arranged: Arranged) -> pd.DataFrame:
    """Every fit's estimate of every parameter: EM's optima and posterior means.

    Returns
    -------
    One row per parameter, one column per fit.
    """
    reference = arranged.em.responsibilities.to_numpy()
    columns = {n: aligned_estimate(f, reference)[0] for n, f in arranged.named.items()}
    names = pd.Index([p.name for p in arranged.em.parameters], name="parameter")
    return pd.DataFrame(columns, index=names)


def fits_table(arranged: Arranged, sd: FloatArray) -> pd.DataFrame:
    """One row per fit.

    Parameters
    ----------
    sd
        (P,) posterior standard deviations of the parameters.

    Returns
    -------
    status; seconds; log_likelihood, the maximum or the highest draw's; largest_difference from
    EM's estimate in posterior sds, and the parameter it is of; distance, mean total variation
    of the class probabilities from EM's; same_class, share of the units.
    """
    reference = arranged.em.responsibilities.to_numpy()
    centre = aligned_estimate(arranged.em, reference)[0]
    rows = {}
    for name, fit in arranged.named.items():
        estimate, tau = aligned_estimate(fit, reference)
        difference = np.divide(estimate - centre, sd, out=np.zeros_like(sd), where=sd > 0)
        worst = int(np.abs(difference).argmax())
        rows[name] = {
            "status": fit.status,
            "seconds": fit.seconds,
            "log_likelihood": fit.log_likelihood,
            "largest_difference": float(difference[worst]),
            "parameter": fit.parameters[worst].name,
            "distance": float(total_variation(tau, reference).mean()),
            "same_class": float((tau.argmax(axis=1) == reference.argmax(axis=1)).mean()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fit")
