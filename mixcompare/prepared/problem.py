"""One specification on one panel, prepared once: what backends and every later step take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.panel import Panel
from mixcompare.model.layout import Layout
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.factorise import Kernels
from mixcompare.prepared.families import prepare
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.resolved_priors import ResolvedPriors, explicit_priors, resolve_priors
from mixcompare.prepared.rows import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Carriers:
    """What has one latent class each, C of them: densities and class probabilities are theirs.

    Weights, leave-one-out, sandwich errors, the bootstrap and BIC's n are the units', which are
    what is independent. Where a unit keeps its class, it is its own carrier, and C = G.

    Attributes
    ----------
    unit
        (C,) number of the carrier's unit, never falling.
    time
        (C,) when they are, as in the panel; None where a unit is its own carrier.
    """

    unit: IntArray
    time: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """A specification, its panel, and what both backends start from.

    Attributes
    ----------
    spec, panel
        The model and the rows.
    prepared
        The panel without loss in the form that the outcomes' family needs, see
        `mixcompare.prepared.families`.
    """

    spec: MixtureSpec
    panel: Panel
    prepared: Prepared

    @classmethod
    def of(cls, spec: MixtureSpec, panel: Panel, kernels: Kernels = "auto") -> Problem:
        """Prepare a panel that was built for a specification.

        Parameters
        ----------
        kernels
            As in `mixcompare.prepared.compress.compress`.

        Raises
        ------
        SpecificationError
            If the family's outcomes cannot be prepared so.
        """
        return cls(spec, panel, prepare(spec, panel, kernels))

    @property
    def factors(self) -> PreparedPanel:
        """What is prepared of normal outcomes.

        Raises
        ------
        TypeError
            If the outcomes are of another family.
        """
        return _typed(self.prepared, PreparedPanel)

    @property
    def rows(self) -> Rows:
        """What is prepared of outcomes whose family needs their rows.

        Raises
        ------
        TypeError
            If the outcomes are of another family.
        """
        return _typed(self.prepared, Rows)

    @cached_property
    def priors(self) -> ResolvedPriors:
        """The priors as numbers.

        Raises
        ------
        SpecificationError
            If a prior does not suit the panel.
        """
        return resolve_priors(self.spec, self.prepared)

    @property
    def layout(self) -> Layout:
        """Blocks of parameters, and the scalars that tables report."""
        return Layout.of(self.spec, self.panel)

    @cached_property
    def carriers(self) -> Carriers:
        """What has one class each."""
        return Carriers(np.arange(self.panel.n_units))

    def with_fixed_priors(self) -> Problem:
        """The same with its priors as numbers, so that other data do not move them."""
        return replace(self, spec=explicit_priors(self.spec, self.prepared))

    def without_unit(self, unit: int) -> Problem:
        """The same with a unit that has no rows: its density is 1, and nothing else changes.

        Scales stay as they are, so that the prior of membership covariates does not move. The
        panel keeps the unit's rows.
        """
        return replace(self, prepared=self.prepared.without_unit(unit))

    def only_unit(self, unit: int) -> Problem:
        """One unit, scales as they are."""
        alone = self.prepared.only_unit(unit)
        return replace(self, panel=self.panel.only_unit(unit), prepared=alone)


def _typed[P: Prepared](prepared: Prepared, form: type[P]) -> P:
    if not isinstance(prepared, form):
        raise TypeError(f"the panel was prepared as {type(prepared).__name__}.")
    return prepared
