"""What a selection finds: fits, criteria, tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixcompare import criteria
from mixcompare.compress import PreparedPanel
from mixcompare.fit import Fit
from mixcompare.metrics import relative_entropy
from mixcompare.selection.candidates import Candidate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Criterion:
    """A column of the table by which a number of classes can be chosen.

    Attributes
    ----------
    title
        As in the plot.
    value
        From a fit and its data; less is better. Criteria of a posterior (PSIS-LOO, log
        marginal likelihood) come in as further ones, from a fit of that backend.
    """

    title: str
    value: Callable[[Fit, PreparedPanel], float]


CRITERIA: Mapping[str, Criterion] = {
    "aic": Criterion("AIC", lambda f, _: criteria.aic(f.log_likelihood, f.n_parameters)),
    "bic": Criterion(
        "BIC, n = units",
        lambda f, p: criteria.bic(f.log_likelihood, f.n_parameters, p.total_units),
    ),
    "bic_rows": Criterion(
        "BIC, n = rows",
        lambda f, p: criteria.bic(f.log_likelihood, f.n_parameters, p.total_degrees_of_freedom),
    ),
    "sabic": Criterion(
        "SABIC",
        lambda f, p: criteria.sabic(f.log_likelihood, f.n_parameters, p.total_units),
    ),
    "icl": Criterion(
        "ICL",
        lambda f, p: criteria.icl(
            f.log_likelihood, f.n_parameters, f.responsibilities.to_numpy(), p.replicated
        ),
    ),
}
# Panels are samples of units, so that BIC counts these unless it is asked not to.
DEFAULT = "bic"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Selection:
    """One model with several numbers of classes.

    Attributes
    ----------
    fits
        EM fits by number of classes; those that ended degenerate are missing.
    table
        By number of classes: log_likelihood, n_parameters, aic, bic (n = units, the
        default), bic_rows (n = rows less absorbed cells), sabic and icl (n = units),
        entropy_r2 (relative entropy of the classification, 1 for certain classes),
        smallest_class in units, starts_at_best, starts, rounds of fitting, falls (whether the
        log-likelihood is still below that of fewer classes) and message.
    tests
        Bootstrap likelihood-ratio tests, as `bootstrap_tests` gives them; None if not asked.
    """

    fits: Mapping[int, Fit]
    table: pd.DataFrame
    tests: pd.DataFrame | None

    def best(self, criterion: str = DEFAULT) -> int:
        """Number of classes with the least value of a criterion in `table`."""
        return int(self.table.index[int(np.nanargmin(self.table[criterion].to_numpy(float)))])

    @property
    def choices(self) -> pd.Series:
        """Number of classes by criterion."""
        return pd.Series({name: self.best(name) for name in CRITERIA}, name="n_components")

    def plot(self) -> Figure:
        """Log-likelihood, criteria and certainty of the classes by number of classes."""
        from mixcompare.report.plots_selection import plot_selection  # above, and matplotlib

        return plot_selection(self)

    def save(self, directory: str | Path) -> Path:
        """Write selection.csv, selection.svg, tests.csv if there are any, and the fits.

        Returns
        -------
        The folder.

        Raises
        ------
        OptionError
            If the folder cannot be written.
        """
        from mixcompare.staging import staged

        directory = Path(directory)
        with staged(directory, last="selection.csv") as folder:
            for count, fit in self.fits.items():
                fit.save(folder / f"em_{count}.nc")
            if self.tests is not None:
                self.tests.to_csv(folder / "tests.csv", index=False)
            self.plot().savefig(folder / "selection.svg")
            self.table.to_csv(folder / "selection.csv")
        return directory

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {count}" for name, count in self.choices.items())
        return f"<mixcompare.Selection of {', '.join(map(str, self.table.index))}: {said}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{repr(self)[1:-1]}</b></p>{self.table.to_html()}"


def selection_table(found: Sequence[Candidate], prepared: PreparedPanel) -> pd.DataFrame:
    """The table of a `Selection`."""
    rows = [_row(candidate, prepared) for candidate in found]
    index = pd.Index([c.n_components for c in found], name="n_components")
    return pd.DataFrame(rows, index=index)


def _row(candidate: Candidate, prepared: PreparedPanel) -> dict[str, float | str | bool]:
    fit = candidate.fit
    end: dict[str, float | str | bool] = {
        "rounds": candidate.rounds,
        "falls": candidate.falls,
        "message": candidate.message,
    }
    if fit is None:
        return end
    tau = fit.responsibilities.to_numpy()
    starts = fit.tree["starts"]["optimum"].to_numpy()
    return {
        "log_likelihood": fit.log_likelihood,
        "n_parameters": fit.n_parameters,
        **{name: criterion.value(fit, prepared) for name, criterion in CRITERIA.items()},
        "entropy_r2": relative_entropy(tau),
        "smallest_class": float((prepared.replicated @ tau).min()),
        "starts_at_best": int((starts == 0).sum()),
        "starts": int(np.size(starts)),
        **end,
    }
