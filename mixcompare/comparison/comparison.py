"""What a comparison finds."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import xarray as xr

from mixcompare.checking.leave_one_out import LeaveOneOut
from mixcompare.checking.posterior_predictive import PredictiveCheck
from mixcompare.checking.prior_predictive import PriorPredictive
from mixcompare.comparison.evidence import Thresholds
from mixcompare.comparison.modes import Modes
from mixcompare.comparison.parties import Party
from mixcompare.comparison.remedies import Remedy
from mixcompare.comparison.verdicts import conclude
from mixcompare.fits.fit import Fit
from mixcompare.labels import IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison:
    """What `compare` finds; tables are data frames whose columns their makers document.

    Attributes
    ----------
    em, posterior_fit
        The maximum of the likelihood and the posterior that is compared with it in detail.
    parties
        These and the other fits with their names and roles.
    permutation
        (chain, draw, K) that renumber each draw's components to match EM's.
    aligned
        The posterior's parameters, so renumbered.
    posterior_responsibilities
        (unit, mixture_component) posterior mean class probabilities, components as EM's.
    climbed
        Where draws climb to.
    estimates, likelihoods, agreement, membership, switching, algorithms, invariants, modes
        Tables: parameters, likelihoods, class membership in short and by unit, label
        switching, agreement of relabelling algorithms, label-invariant quantities, modes.
    optima, searches, priors, fits, side_by_side, runs
        Tables: EM's optima, those and the maxima of the sampler's own search (empty where chains
        did not wait for one), priors, all fits in short and their estimates beside one another,
        EM's fits by starts and stopping rule.
    ordered_by
        What the ordering constraint among the algorithms sorts.
    sensitivity
        Table: what of every parameter is the prior's doing.
    loo
        Leave-one-unit-out cross-validation of the posterior.
    prior_check, predictive_check
        Data drawn from the prior and from the posterior, held against those observed.
    verdicts
        section, verdict, reason, statement, by the rules of `mixcompare.comparison.verdicts`.
    remedies
        What to run where one side has failed.
    thresholds
        What the verdicts were made with.
    restart
        EM restarted from the highest draw or mode, if that beat EM's maximum.
    """

    em: Fit
    posterior_fit: Fit
    parties: tuple[Party, ...]
    permutation: IntArray
    aligned: xr.Dataset
    posterior_responsibilities: xr.DataArray
    climbed: Modes
    estimates: pd.DataFrame
    likelihoods: pd.DataFrame
    agreement: pd.DataFrame
    membership: pd.DataFrame
    switching: pd.DataFrame
    algorithms: pd.DataFrame
    invariants: pd.DataFrame
    modes: pd.DataFrame
    optima: pd.DataFrame
    searches: pd.DataFrame
    priors: pd.DataFrame
    fits: pd.DataFrame
    side_by_side: pd.DataFrame
    runs: pd.DataFrame
    sensitivity: pd.DataFrame
    loo: LeaveOneOut
    prior_check: PriorPredictive
    predictive_check: PredictiveCheck
    verdicts: pd.DataFrame
    remedies: tuple[Remedy, ...]
    thresholds: Thresholds
    restart: Fit | None
    ordered_by: str

    @property
    def conclusion(self) -> str:
        """Which side has failed and by how much, and what else is wrong."""
        return conclude(self.verdicts, self.remedies)

    @property
    def judged(self) -> bool:
        """Whether the draws are relied on: else what they alone tell is not to be shown."""
        return bool((self.verdicts["verdict"] != "not judged").all())

    def __repr__(self) -> str:
        lines = [f"{v.section}: {v.verdict}" for v in self.verdicts.itertuples()]
        return f"<mixcompare.Comparison {'; '.join(lines)}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{self.conclusion}</b></p>{self.verdicts.to_html(index=False)}"
