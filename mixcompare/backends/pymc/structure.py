"""What of a specification shapes the model's graph; all else is data to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mixcompare.backends.pymc.covariances import n_below, n_squares
from mixcompare.model.covariances import Covariance
from mixcompare.model.spec import CovarianceBy, MixtureSpec
from mixcompare.prepared.compress import PreparedPanel


@dataclass(frozen=True, slots=True)
class Structure:
    """Sizes and choices; models of one structure have one graph.

    Numbers of units and rows, the data and the priors' numbers are not among them.

    Attributes
    ----------
    n_components
        K.
    n_varying, n_common
        How many of the p covariates have coefficients by class, and common ones.
    n_outcomes
        m.
    n_concomitants
        Unit covariates of the membership, c; 0 where the weights are parameters.
    """

    n_components: int
    n_varying: int
    n_common: int
    n_outcomes: int
    n_concomitants: int
    covariance: Covariance
    covariance_by: CovarianceBy

    @property
    def n_covariances(self) -> int:
        """Number of distinct covariances."""
        return self.n_components if self.covariance_by == "component" else 1

    @property
    def n_covariates(self) -> int:
        """P."""
        return self.n_varying + self.n_common

    @property
    def n_squares(self) -> int:
        """Chi-squared variables of one covariance."""
        return n_squares(self.covariance, self.n_outcomes)

    @property
    def n_below(self) -> int:
        """Normal variables of one covariance."""
        return n_below(self.covariance, self.n_outcomes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The model's free variables, in order, and their shapes.

        A variable without an element is left out.
        """
        k, m, rows = self.n_components, self.n_outcomes, self.n_covariances
        shapes = {
            "weights": (k if k > 1 and not self.n_concomitants else 0,),
            "membership": (k - 1, self.n_concomitants),
            "common_deviations": (self.n_common * m,),
            "deviations": (k, self.n_varying * m),
            "precision_squares": (rows, self.n_squares),
            "precision_below": (rows, self.n_below),
        }
        return {name: shape for name, shape in shapes.items() if 0 not in shape}

    @property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the unconstrained values of these: weights have one less."""
        shapes = self.shapes
        return shapes | ({"weights": (self.n_components - 1,)} if "weights" in shapes else {})

    @property
    def n_free(self) -> int:
        """Length of an unconstrained point."""
        return sum(math.prod(shape) for shape in self.free_shapes.values())

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """The graph's data, see `Mixture.inputs`, and their shapes for one unit of one row.

        Data without an element are left out.
        """
        k, p, m, c = self.n_components, self.n_covariates, self.n_outcomes, self.n_concomitants
        own, common = self.n_varying * m, self.n_common * m
        shapes: dict[str, tuple[int, ...]] = {
            "observed": (1, 1, m),
            "covariates": (1, 1, p),
            "degrees_of_freedom": (1,),
            "unit_weights": (1,),
            "concomitants": (1, c),
            "centre": (p, m),
            "directions": (p, p),
            "scale": (m, m),
            "concentration": (0 if c else k,),
            "unmix": (c, c),
            "membership_spread": (c, c),
            "offset": (own,),
            "spread": (own, own),
            "common_share": (own, common),
            "common_offset": (common,),
            "common_spread": (common, common),
            "squares_df": (self.n_squares,),
            "squares_map": (self.n_squares, m * m),
            "below_map": (self.n_below, m * m),
            "log_determinant_constant": (),
            "log_volume": (),
            "common_log_volume": (),
            "membership_log_volume": (),
        }
        return {name: shape for name, shape in shapes.items() if 0 not in shape}


def structure_of(spec: MixtureSpec, prepared: PreparedPanel) -> Structure:
    """The structure of a specification on a panel's columns."""
    n_common = len(prepared.common_names)
    return Structure(
        n_components=spec.n_components,
        n_varying=prepared.n_covariates - n_common,
        n_common=n_common,
        n_outcomes=prepared.n_outcomes,
        n_concomitants=len(prepared.concomitant_names),
        covariance=spec.covariance,
        covariance_by=spec.covariance_by,
    )
