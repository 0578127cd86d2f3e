"""What the verdicts read, and the thresholds that they compare it with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_positive
from mixcompare.base.maxima import SAME_MAXIMUM
from mixcompare.checking.sensitivity import THRESHOLD
from mixcompare.comparison.glossary import (
    APPROXIMATE,
    DIVERGENT,
    MISSED_MODE,
    MODES,
    NOT_CONVERGED,
    Entry,
    Word,
)
from mixcompare.comparison.heights import Heights
from mixcompare.comparison.likelihoods import Likelihoods
from mixcompare.comparison.model_checks import Checks
from mixcompare.comparison.modes import Modes
from mixcompare.comparison.parties import Party, Role, having
from mixcompare.comparison.searches import Searches
from mixcompare.fits.fit import Fit
from mixcompare.labels import Switching


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What separates agreement from difference.

    Parameters
    ----------
    identity
        Relative disagreement of the two likelihood computations.
    excess
        Relative excess of a draw's log-likelihood over EM's maximum.
    starts_at_best
        Starts that should have reached the best optimum.
    missed
        Chance, were the posterior normal, that every draw lies further below its mode than EM's
        estimate may lie above the draws, see `mixcompare.comparison.heights`.
    r_hat, r_hat_modes
        R-hat of a converged parameter; R-hat of the log-likelihood or the sorted weights
        above which chains sit in different modes, if draws belong to several.
    other_modes
        Share of the draws that may climb to another mode than the commonest.
    ess
        Bulk effective sample size of every parameter.
    difference
        Posterior mean less EM's estimate, in posterior sds.
    sensitivity
        Power-scaling sensitivity from which a parameter depends on the prior (Kallioinen,
        Paananen, Buerkner & Vehtari 2024).
    misfits
        Share of the posterior predictive checks that may fail.
    mean_log_likelihood
        Distance of the draws' mean log-likelihood from its expectation, the maximum
        less d/2, in units of its spread sqrt(d/2).
    misfit
        Effective number of parameters by PSIS-LOO, relative to the free ones, above
        which the model fits poorly (Vehtari, Gelman & Gabry 2017).
    sandwich
        EM's standard error clustered by unit, relative to the model's, of any parameter, above
        which rows within units depend on one another or the model is wrong otherwise.
    same_class, distance
        Share of units in the same class; mean distance of class probabilities.
    """

    identity: float = 1e-9
    excess: float = SAME_MAXIMUM
    starts_at_best: int = 3
    missed: float = 1e-4
    r_hat: float = 1.01
    r_hat_modes: float = 1.05
    other_modes: float = 0.05
    ess: float = 400.0
    difference: float = 0.5
    sensitivity: float = THRESHOLD
    misfits: float = 0.05
    mean_log_likelihood: float = 2.0
    misfit: float = 2.0
    sandwich: float = 1.5
    same_class: float = 0.95
    distance: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            check_positive(f"threshold {field.name}", getattr(self, field.name))

    def table(self) -> pd.DataFrame:
        """Threshold and value, one row each."""
        return pd.DataFrame(asdict(self).items(), columns=["threshold", "value"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """One section's verdict, its reason unless all is well, and a statement."""

    section: str
    verdict: Word
    reason: Entry | None
    statement: str


def not_judged(section: str, reason: Entry) -> Verdict:
    """No verdict, and no figure that could be taken for one, from draws that tell nothing."""
    said = f"Not judged, since the draws cannot be relied on ({reason.name})."
    return Verdict(section, "not judged", reason, said)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that the rules read."""

    em: Fit
    estimates: pd.DataFrame
    shift: FloatArray
    parties: tuple[Party, ...]
    side_by_side: pd.DataFrame
    scores: Likelihoods
    heights: Heights
    checks: Checks
    agreement: pd.DataFrame
    optima: pd.DataFrame
    moved: Switching
    modes: Modes
    searches: Searches | None
    invariant: dict[str, float]
    divergences: int
    thresholds: Thresholds
    approximate: bool = False

    def fits(self, role: Role) -> dict[str, Fit]:
        """Fits by name that have a role."""
        return having(self.parties, role)

    @property
    def worse_optimum(self) -> bool:
        """Whether a draw, or the mode that one climbs to, has beaten EM's maximum."""
        return self.scores.restart is not None

    @property
    def several_modes(self) -> bool:
        """Whether draws that are no rare exceptions belong to different modes."""
        return self.modes.share_of_others > self.thresholds.other_modes

    @property
    def different_modes(self) -> bool:
        """Whether draws have several modes and chains disagree on what labels cannot change."""
        apart = max(self.invariant.values(), default=np.nan) > self.thresholds.r_hat_modes
        return self.several_modes and apart

    @property
    def unvisited(self) -> bool:
        """Whether draws that were climbed from end, but none at EM's best optimum."""
        return bool((self.modes.visited >= 0).any()) and self.modes.share_of_em == 0

    @property
    def spurious(self) -> bool:
        """Whether EM's estimate is a spurious maximum."""
        return self.em.status == "spurious"

    @property
    def saddle(self) -> bool:
        """Whether EM ended at a saddle point that it could not leave."""
        return self.em.status == "saddle"

    @property
    def separated(self) -> bool:
        """Whether membership covariates separate classes, so that EM's log-odds run off."""
        return self.em.status == "separated"

    @property
    def too_short(self) -> pd.Series:
        """Sandwich errors relative to EM's, by parameter; none where units have one row each."""
        known = self.estimates[self.estimates["em_se"] > 0]
        return (known["em_sandwich_se"] / known["em_se"]).dropna()

    @property
    def missed_mode(self) -> bool:
        """Whether EM's estimate lies too far above all draws for any chain to have been there.

        A spurious maximum is a spike, which chains are right to pass by, as they are a mode that
        the sampler's search has found to have next to no mass.
        """
        known = self.searches is not None and self.searches.little_mass
        right = self.spurious or self.worse_optimum or known
        return self.heights.missed and not right

    @property
    def converged(self) -> bool:
        """Whether every aligned parameter meets the R-hat and ESS thresholds."""
        return not self.approximate and self._long_enough and not self.divergences

    @property
    def _long_enough(self) -> bool:
        worst = np.nanmax([self.estimates["r_hat"].max(), *self.invariant.values()])
        enough = self.estimates["ess_bulk"].min() >= self.thresholds.ess
        return bool(worst <= self.thresholds.r_hat and enough)

    @property
    def unconverged(self) -> Entry:
        """Why draws that have not converged cannot be relied on."""
        if self.approximate:
            return APPROXIMATE
        return DIVERGENT if self._long_enough else NOT_CONVERGED

    @property
    def unreliable(self) -> Entry | None:
        """Why nothing is to be concluded from the draws alone; None if it may be."""
        if self.missed_mode:
            return MISSED_MODE
        if self.different_modes:
            return MODES
        return None if self.converged else self.unconverged
