"""What of a normal response shapes the model's graph; all else is data to it."""

from __future__ import annotations

from dataclasses import dataclass

from mixcompare.backends.pymc.emissions.covariances import ARITHMETIC
from mixcompare.model.covariances import Covariance
from mixcompare.model.spec import CovarianceBy


@dataclass(frozen=True, slots=True)
class Structure:
    """Sizes and choices; responses of one structure have one graph.

    Numbers of units and rows, the data and the priors' numbers are not among them.

    Attributes
    ----------
    n_components
        K.
    n_varying, n_common
        How many of the p covariates have coefficients by class, and common ones.
    n_outcomes
        m.
    """

    n_components: int
    n_varying: int
    n_common: int
    n_outcomes: int
    covariance: Covariance
    covariance_by: CovarianceBy

    @property
    def n_covariances(self) -> int:
        """Number of distinct covariances."""
        return self.n_components if self.covariance_by == "component" else 1

    @property
    def n_squares(self) -> int:
        """Chi-squared variables of one covariance."""
        return ARITHMETIC[self.covariance].n_squares(self.n_outcomes)

    @property
    def n_below(self) -> int:
        """Normal variables of one covariance."""
        return ARITHMETIC[self.covariance].n_below(self.n_outcomes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The free variables, in order, and their shapes; those without an element are left out."""
        k, m, rows = self.n_components, self.n_outcomes, self.n_covariances
        shapes = {
            "common_deviations": (self.n_common * m,),
            "deviations": (k, self.n_varying * m),
            "precision_squares": (rows, self.n_squares),
            "precision_below": (rows, self.n_below),
        }
        return {name: shape for name, shape in shapes.items() if 0 not in shape}
