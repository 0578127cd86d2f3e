"""Likelihoods: two independent computations at the same parameters, and what draws reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixcompare.backends import fit, get_backend
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DegenerateFitError
from mixcompare.checking.leave_one_out import HIGH_PARETO_K, LeaveOneOut
from mixcompare.comparison.glossary import Entry
from mixcompare.comparison.modes import Mode
from mixcompare.fits.criteria import aic, bic
from mixcompare.fits.fit import Fit
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Likelihoods:
    """What the likelihood verdicts need.

    Attributes
    ----------
    em_maximum, em_by_pymc
        EM's maximum by its own arithmetic and by PyMC's at the same parameters.
    best_draw, best_draw_by_em
        The highest draw, by PyMC's arithmetic and by EM's at the same parameters.
    by_draw
        (chain, draw) log-likelihoods.
    restart
        EM started from the highest draw if that beats EM's maximum, else from the highest
        mode that draws climb to if that does; None if neither does, or EM collapsed or ended
        at a spurious maximum.
    spurious
        EM started from the highest draw, if that beats EM's maximum and leads to a spurious one.
    collapsed
        Whether EM started from what beats its maximum ended degenerate.
    """

    em_maximum: float
    em_by_pymc: float
    best_draw: float
    best_draw_by_em: float
    by_draw: FloatArray
    restart: Fit | None
    spurious: Fit | None
    collapsed: bool

    @property
    def identity_error(self) -> float:
        """Largest relative disagreement of the two computations."""
        pairs = ((self.em_maximum, self.em_by_pymc), (self.best_draw, self.best_draw_by_em))
        return max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)

    @property
    def excess(self) -> float:
        """By how much the highest draw beats EM's maximum (negative if it does not)."""
        return self.best_draw - self.em_maximum


def score_likelihoods(em: Fit, posterior_fit: Fit, rounding: float, highest: Mode) -> Likelihoods:
    """Score each backend's best parameters with the other one.

    Parameters
    ----------
    rounding
        Relative excess of a draw over EM's maximum that is not yet an excess.
    highest
        The highest mode that draws climb to and that is not spurious, if there is one.
    """
    by_draw, best = posterior_fit.log_likelihood_by_draw, posterior_fit.highest_draw
    by_pymc = _total(posterior_fit.backend, em.problem, em.estimate)
    by_em = _total(em.backend, em.problem, best)
    maximum, best_draw = em.log_likelihood, float(by_draw.max())
    beyond = maximum + rounding * max(1.0, abs(maximum))
    above = best_draw > beyond
    restart = _restarted(em, best) if above else None
    spurious = restart if restart is not None and restart.status == "spurious" else None
    tried = above and spurious is None
    if not tried:
        tried = highest.log_likelihood > beyond and not highest.spurious
        restart = _restarted(em, highest.parameters) if tried else None
    return Likelihoods(
        em_maximum=maximum,
        em_by_pymc=by_pymc,
        best_draw=best_draw,
        best_draw_by_em=by_em,
        by_draw=by_draw,
        restart=restart,
        spurious=spurious,
        collapsed=tried and restart is None,
    )


def _total(backend: str, problem: Problem, parameters: Mapping[str, FloatArray]) -> float:
    """Log-likelihood of one set of parameters by a backend's arithmetic."""
    at = {name: values[None] for name, values in parameters.items()}
    return float(get_backend(backend).scorer(problem).unit_log_likelihood(at).sum())


def _restarted(em: Fit, initial: Mapping[str, FloatArray]) -> Fit | None:
    """EM from given parameters; None where a component collapses from there."""
    try:
        return fit(
            em.spec, em.panel, backend="em", initial=initial, starts=0, standard_errors="none"
        )
    except DegenerateFitError:
        return None


def likelihoods_table(
    em: Fit, scores: Likelihoods, loo: LeaveOneOut, unreliable: Entry | None
) -> pd.DataFrame:
    """Quantity, value and note; AIC and BIC by their usual formulae (Schwarz 1978).

    Parameters
    ----------
    unreliable
        Why the draws cannot be relied on, in which case cross-validation has no values.
    """
    d, units, rows = em.n_parameters, em.n_independent, em.degrees_of_freedom
    weighted = ", counted by their weights" if em.spec.unit_weights is not None else ""
    maximum, mean = scores.em_maximum, float(scores.by_draw.mean())
    lines = [
        ("EM maximum", maximum, em.message),
        ("EM estimate scored by PyMC", scores.em_by_pymc, "PyMC's compiled log-density"),
        ("highest draw", scores.best_draw, "over all chains"),
        ("highest draw scored by EM", scores.best_draw_by_em, "EM's arithmetic"),
        ("identity error", scores.identity_error, "largest relative disagreement of the two"),
        (
            "highest draw less EM maximum",
            scores.excess,
            "positive: EM missed the optimum"
            if scores.spurious is None
            else "positive: near a spurious maximum",
        ),
        ("mean over draws", mean, f"expected about the maximum less d/2 = {maximum - d / 2:.2f}"),
        (
            "sd over draws",
            float(scores.by_draw.std(ddof=1)),
            f"expected about {np.sqrt(d / 2):.2f}",
        ),
        ("free parameters d", d, ""),
        ("AIC", aic(maximum, d), "at EM's maximum"),
        ("BIC, n = units", bic(maximum, d, units), f"n = {units:g}{weighted}; the default here"),
        (
            "BIC, n = rows",
            bic(maximum, d, rows),
            f"n = {rows:g} rows{' less absorbed cells' if em.spec.absorb else ''}{weighted}",
        ),
        *_cross_validation(loo, d, unreliable),
    ]
    if scores.spurious is not None:
        note = f"spurious; from the highest draw; {scores.spurious.message}"
        lines.insert(1, ("EM from the highest draw", scores.spurious.log_likelihood, note))
    if scores.restart is not None:
        start = "draw" if scores.excess > 0 else "mode that draws climb to"
        note = f"from the highest {start}; {scores.restart.message}"
        lines.insert(1, ("EM restarted", scores.restart.log_likelihood, note))
    return pd.DataFrame(lines, columns=["quantity", "value", "note"]).set_index("quantity")


def _cross_validation(
    loo: LeaveOneOut, d: int, unreliable: Entry | None
) -> list[tuple[str, float, str]]:
    names = ("PSIS-LOO elpd", "PSIS-LOO p", f"units with Pareto k > {HIGH_PARETO_K}")
    if unreliable is not None:
        return [(name, np.nan, f"not judged: {unreliable.name}") for name in names]
    values = (loo.elpd, loo.p, len(loo.high))
    notes = (
        f"by unit; standard error {loo.se:.2f}",
        f"effective number of parameters; well above d = {d} signals misfit",
        f"of {len(loo.units)}; {loo.unresolved} not refitted: where there are any, elpd is "
        "unreliable",
    )
    return list(zip(names, values, notes, strict=True))
