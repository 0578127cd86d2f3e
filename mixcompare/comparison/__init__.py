"""Two fits of one model: do they agree, and if not, why?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from mixcompare import labels
from mixcompare.comparison.estimates import estimates_table, predicted_shift
from mixcompare.comparison.likelihoods import likelihoods_table, score_likelihoods
from mixcompare.comparison.membership import agreement_table, membership_table
from mixcompare.comparison.switching import invariant_r_hat, optima_table, switching_table
from mixcompare.comparison.verdicts import Evidence, Thresholds, conclude, judge
from mixcompare.compress import compress
from mixcompare.errors import DataError
from mixcompare.fit import Fit, permute_posterior
from mixcompare.labels import IntArray
from mixcompare.priors import prior_table, resolve_priors

__all__ = ["Comparison", "Thresholds", "compare"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison:
    """What `compare` finds; tables are data frames whose columns their makers document.

    Attributes
    ----------
    em, posterior_fit
        The fits.
    permutation
        (chain, draw, K) that renumber each draw's components to match EM's.
    aligned
        The posterior's parameters, so renumbered.
    posterior_responsibilities
        (unit, component) posterior mean class probabilities, components as EM's.
    estimates, likelihoods, agreement, membership, switching, optima, priors
        Tables: parameters, likelihoods, class membership in short and by unit, label
        switching, EM's optima, priors.
    verdicts
        section, verdict, reason, statement, by the rules of `mixcompare.comparison.verdicts`.
    thresholds
        What the verdicts were made with.
    restart
        EM restarted from the highest draw, if that beat EM's maximum.
    """

    em: Fit
    posterior_fit: Fit
    permutation: IntArray
    aligned: xr.Dataset
    posterior_responsibilities: xr.DataArray
    estimates: pd.DataFrame
    likelihoods: pd.DataFrame
    agreement: pd.DataFrame
    membership: pd.DataFrame
    switching: pd.DataFrame
    optima: pd.DataFrame
    priors: pd.DataFrame
    verdicts: pd.DataFrame
    thresholds: Thresholds
    restart: Fit | None

    @property
    def conclusion(self) -> str:
        """The verdicts in one sentence."""
        return conclude(self.verdicts)

    def report(self, directory: str | Path, *, title: str | None = None) -> Path:
        """Write the HTML report, its tables and its provenance into a folder.

        Returns
        -------
        The path of the HTML file.

        Raises
        ------
        OptionError
            If the folder cannot be written.
        """
        from mixcompare.report import write_report  # above this module in the import order

        return write_report(self, directory, title=title)

    def __repr__(self) -> str:
        lines = [f"{v.section}: {v.verdict}" for v in self.verdicts.itertuples()]
        return f"<mixcompare.Comparison {'; '.join(lines)}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{self.conclusion}</b></p>{self.verdicts.to_html(index=False)}"


def compare(first: Fit, second: Fit, *, thresholds: Thresholds | None = None) -> Comparison:
    """Compare an EM fit with a posterior of the same model on the same data.

    Parameters
    ----------
    first, second
        One fit with ``backend="em"`` and one with ``backend="pymc"``, in any order.
    thresholds
        The rules' thresholds.

    Raises
    ------
    DataError
        If the two are not one fit of each backend, or their models or data differ.
    """
    em, other = _sort(first, second)
    thresholds = thresholds or Thresholds()
    prepared = compress(em.panel)
    reference = em.responsibilities.to_numpy()
    drawn = other.tree["membership"]["responsibilities"].to_numpy()
    permutation = labels.align_to_reference(drawn, reference)
    raw = other.tree["posterior"].to_dataset()
    aligned = permute_posterior(raw, permutation)
    mean = labels.permute(drawn, permutation, axis=-1).mean(axis=(0, 1))
    scores = score_likelihoods(em, other, prepared, thresholds.excess)
    invariant = invariant_r_hat(scores.by_draw, raw["weights"].to_numpy())
    estimates = estimates_table(em, raw, aligned)
    agreement = agreement_table(reference, mean)
    moved, switching = switching_table(permutation, estimates, invariant)
    optima = optima_table(em)
    evidence = Evidence(
        em=em,
        estimates=estimates,
        shift=predicted_shift(em, resolve_priors(em.spec, prepared)),
        scores=scores,
        agreement=agreement,
        optima=optima,
        moved=moved,
        invariant=invariant,
        divergences=int(other.tree["sample_stats"]["diverging"].sum()),
        thresholds=thresholds,
    )
    return Comparison(
        em=em,
        posterior_fit=other,
        permutation=permutation,
        aligned=aligned,
        posterior_responsibilities=em.responsibilities.copy(data=mean),
        estimates=estimates,
        likelihoods=likelihoods_table(em, scores, prepared),
        agreement=agreement,
        membership=membership_table(em.panel.unit_labels, reference, mean),
        switching=switching,
        optima=optima,
        priors=prior_table(em.spec, prepared),
        verdicts=judge(evidence),
        thresholds=thresholds,
        restart=scores.restart,
    )


def _sort(first: Fit, second: Fit) -> tuple[Fit, Fit]:
    by_backend = {fit.backend: fit for fit in (first, second)}
    if set(by_backend) != {"em", "pymc"}:
        raise DataError(
            "compare needs one fit with backend='em' and one with backend='pymc', not "
            f"{first.backend!r} and {second.backend!r}."
        )
    em, other = by_backend["em"], by_backend["pymc"]
    if em.options["estimator"] != "ml":
        raise DataError("compare needs an EM fit with estimator='ml', not 'map'.")
    if em.spec != other.spec:
        raise DataError(f"the fits have different models: {em.spec} and {other.spec}.")
    if em.fingerprint != other.fingerprint:
        raise DataError(
            "the fits were made on different data (their fingerprints differ). Fit both to the "
            "same table."
        )
    return em, other
