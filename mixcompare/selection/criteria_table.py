"""The table of a selection, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import OptionError
from mixcompare.base.registry import register
from mixcompare.checking.leave_one_out import LeaveOneOut
from mixcompare.fits import criteria
from mixcompare.fits.bridge import LogEvidence
from mixcompare.fits.fit import Fit
from mixcompare.labels.metrics import relative_entropy
from mixcompare.selection.candidates import Candidate
from mixcompare.selection.posterior import PosteriorOf

# Two estimates of one marginal likelihood that are further apart, in standard errors of
# their difference, contradict each other.
APART: Final = 2.0
EVIDENCE: Final = ("log_evidence_bridge", "log_evidence_smc")
# End of the columns that say why a posterior is not ranked.
UNRANKED: Final = "_unranked"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A column of the table by which a number of classes can be chosen.

    Attributes
    ----------
    title
        As in the plot.
    column
        In the table.
    factor
        On the scale of -2 log-likelihoods, where less is better: 1, or -2 for logarithms of
        densities.
    value
        From EM's fit; None for criteria of the posterior.
    posterior
        Which posterior it is of, ``"posterior"`` (by NUTS) or ``"smc"``; empty for EM's.
    """

    title: str
    column: str
    factor: float = 1.0
    value: Callable[[Fit], float] | None = None
    posterior: str = ""

    def known(self, table: pd.DataFrame) -> bool:
        """Whether the table has it for any number of classes."""
        return self.column in table and bool(table[self.column].notna().any())

    def loss(self, table: pd.DataFrame) -> FloatArray:
        """Values by number of classes; less is better."""
        return np.asarray(self.factor * table[self.column].to_numpy(float))

    def unranked(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Which numbers of classes have a posterior that cannot be relied on."""
        reasons = table.get(f"{self.posterior}{UNRANKED}", "")
        return np.asarray(np.broadcast_to(np.asarray(reasons) != "", len(table)))


CRITERIA: Final[dict[str, Criterion]] = {
    "aic": Criterion("AIC", "aic", value=lambda f: criteria.aic(f.log_likelihood, f.n_parameters)),
    "bic": Criterion(
        "BIC, n = units",
        "bic",
        value=lambda f: criteria.bic(f.log_likelihood, f.n_parameters, f.n_independent),
    ),
    "bic_rows": Criterion(
        "BIC, n = rows",
        "bic_rows",
        value=lambda f: criteria.bic(f.log_likelihood, f.n_parameters, f.degrees_of_freedom),
    ),
    "sabic": Criterion(
        "SABIC",
        "sabic",
        value=lambda f: criteria.sabic(f.log_likelihood, f.n_parameters, f.n_independent),
    ),
    "icl": Criterion(
        "ICL",
        "icl",
        value=lambda f: criteria.icl(
            f.log_likelihood, f.n_parameters, f.responsibilities.to_numpy(), f.replicated
        ),
    ),
    "loo": Criterion("PSIS-LOO", "elpd_loo", -2.0, posterior="posterior"),
    "bridge": Criterion(
        "marginal likelihood, bridge", "log_evidence_bridge", -2.0, posterior="posterior"
    ),
    "smc": Criterion("marginal likelihood, SMC", "log_evidence_smc", -2.0, posterior="smc"),
}


def register_criterion(name: str, criterion: Criterion) -> None:
    """Let `select` table a criterion of EM's fits, choose by it and draw it.

    Parameters
    ----------
    name
        In `Selection.choices`, and of the column.
    criterion
        With a function of the fit.

    Raises
    ------
    OptionError
        If the criterion has no such function, its column another name, or another criterion
        has the name.
    """
    if criterion.value is None or criterion.column != name:
        raise OptionError(
            f"the criterion {name!r} needs value=, a function of EM's fit, and column={name!r}."
        )
    register(CRITERIA, "criterion", name, criterion)


# Panels are samples of units, so that BIC counts these unless it is asked not to.
DEFAULT: Final = "bic"


def selection_table(candidates: Sequence[Candidate]) -> pd.DataFrame:
    """The table of a `Selection` as far as EM makes it."""
    rows = [_row(candidate) for candidate in candidates]
    index = pd.Index([c.n_components for c in candidates], name="n_components")
    return pd.DataFrame(rows, index=index)


def _row(candidate: Candidate) -> dict[str, float | str | bool]:
    fit = candidate.fit
    end: dict[str, float | str | bool] = {
        "rounds": candidate.rounds,
        "falls": candidate.falls,
        "message": candidate.message,
    }
    if fit is None:
        bad = {"spurious": "none", "status": "degenerate", "cautions": "", "notes": "no fit"}
        return {**end, **bad}
    tau = fit.responsibilities.to_numpy()
    starts = fit.search.ends["optimum"]
    by_em = {name: c.value(fit) for name, c in CRITERIA.items() if c.value is not None}
    return {
        "log_likelihood": fit.log_likelihood,
        "n_parameters": fit.n_parameters,
        **by_em,
        "entropy_r2": relative_entropy(tau, fit.replicated),
        "smallest_class": float((fit.replicated @ tau).min()),
        "starts_at_best": int((starts == 0).sum()),
        "starts": int(np.size(starts)),
        "found_again": fit.search.found_again,
        "spurious": _spurious(fit),
        "status": fit.status,
        **end,
        "cautions": " ".join(fit.search.cautions),
        "notes": _notes(fit, candidate.falls),
    }


def _spurious(fit: Fit) -> str:
    """What became of spurious maxima: the estimate, or one above it that was passed over."""
    if fit.status == "spurious":
        return "estimate"
    higher = fit.search.ends["log_likelihood"] > fit.log_likelihood
    return "passed over" if (fit.search.ends["spurious"] & higher).any() else "none"


def _notes(fit: Fit, falls: bool) -> str:
    """What should be known beside a number of classes, in a few words."""
    optimum = fit.search.ends["optimum"]
    at_best, total = int((optimum == 0).sum()), len(optimum)
    again = at_best > 1 and (fit.search.found_again or fit.options["starts"] is not None)
    spurious = {"estimate": "a spurious maximum", "passed over": "a spurious one passed over"}
    notes = (
        spurious.get(_spurious(fit), ""),
        "" if again or fit.spec.n_components == 1 else f"{at_best} of {total:,} starts",
        {"saddle": "a saddle", "separated": "membership separated"}.get(fit.status, ""),
        "below fewer classes" if falls else "",
    )
    return "; ".join(note for note in notes if note)


def posterior_table(explored: Mapping[int, PosteriorOf]) -> pd.DataFrame:
    """What was asked of the posteriors, by number of classes.

    Returns
    -------
    posterior_status, of the fit by NUTS, posterior_restarts, how often it was sampled again,
    and posterior_unranked, why no criterion of it is ranked, empty if they are; smc_status,
    smc_restarts and smc_unranked, of sequential Monte Carlo; elpd_loo (expected log pointwise
    predictive density, by unit) and elpd_loo_se; elpd_difference from the best number of classes
    that is ranked and its standard error by the units' differences (Vehtari, Gelman & Gabry
    2017); high_pareto_k, the number of units for which importance weights fail;
    log_evidence_bridge and log_evidence_smc with their errors; evidence_apart, whether these two
    are further apart than twice the standard error of their difference. Columns that were not
    asked for are missing.
    """
    rows = {k: _posterior_row(posterior) for k, posterior in explored.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("n_components")
    loo = {k: posterior.loo for k, posterior in explored.items() if posterior.loo is not None}
    if loo:
        table = table.join(_differences(loo, CRITERIA["loo"].unranked(table)))
    if set(EVIDENCE) <= set(table):
        errors = (table[f"{name}_error"].to_numpy(float) for name in EVIDENCE)
        away = (table[EVIDENCE[0]] - table[EVIDENCE[1]]).abs()
        table["evidence_apart"] = away > APART * np.hypot(*errors)
    order = [name for name in _COLUMNS if name in table]
    return table[order]


_STANDING: Final = tuple(
    f"{of}_{what}" for of in ("posterior", "smc") for what in ("status", "restarts", "unranked")
)
_COLUMNS: Final = (
    *_STANDING,
    "elpd_loo",
    "elpd_loo_se",
    "elpd_difference",
    "elpd_difference_se",
    "high_pareto_k",
    "log_evidence_bridge",
    "log_evidence_bridge_error",
    "log_evidence_smc",
    "log_evidence_smc_error",
    "evidence_apart",
)


def _posterior_row(posterior: PosteriorOf) -> dict[str, float | str]:
    row: dict[str, float | str] = {
        f"{of}_{what}": value
        for of, standing in posterior.standings.items()
        for what, value in asdict(standing).items()
    }
    if posterior.loo is not None:
        row |= {"elpd_loo": posterior.loo.elpd, "elpd_loo_se": posterior.loo.se}
        row["high_pareto_k"] = len(posterior.loo.high)
    return row | _evidence("bridge", posterior.bridge) | _evidence("smc", posterior.smc)


def _evidence(name: str, evidence: LogEvidence | None) -> dict[str, float | str]:
    if evidence is None:
        return {}
    return {f"log_evidence_{name}": evidence.value, f"log_evidence_{name}_error": evidence.error}


def _differences(loo: Mapping[int, LeaveOneOut], unranked: NDArray[np.bool_]) -> pd.DataFrame:
    """Pointwise differences of elpd from the best, summed, with their standard errors."""
    by_unit = pd.DataFrame({k: left_out.units["elpd"] for k, left_out in loo.items()})
    total = by_unit.sum(skipna=False)
    ranked = total[~unranked].dropna()
    best = (total if ranked.empty else ranked).idxmax()
    apart = by_unit.sub(by_unit[best], axis=0)
    return pd.DataFrame(
        {
            "elpd_difference": apart.sum(skipna=False),
            "elpd_difference_se": np.sqrt(len(apart)) * apart.std(),
        }
    )
