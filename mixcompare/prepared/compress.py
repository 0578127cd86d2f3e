"""Lossless compression of each unit's rows to a triangular factor.

The likelihood of a unit depends on its rows ``[X Y]`` only through the cross-products
of any linear combination of their columns, which the triangular factor ``R`` of the
unit's QR decomposition keeps exactly (Golub & Van Loan 2013, section 5.3), without
the cancellation of cross-product matrices. Fixed effects of cells are removed first by
projecting on the complement of the cell dummies, which takes one degree of freedom
per cell: what is left is the likelihood of ``n - 1`` orthonormal contrasts per cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_runs
from mixcompare.prepared.factorise import Kernels, factorise
from mixcompare.prepared.prepared import Prepared, described, norms


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PreparedPanel(Prepared):
    """A panel of normal outcomes: one small matrix per unit.

    Attributes
    ----------
    factor
        (G, r, p + m) rows that have the cross-products of the unit's ``[X Y]`` after
        absorption; short units are padded with rows of zeros.
    """

    factor: FloatArray

    @property
    def covariate_factor(self) -> FloatArray:
        """(G, r, p) columns of the covariates."""
        return self.factor[..., : self.n_covariates]

    @property
    def outcome_factor(self) -> FloatArray:
        """(G, r, m) columns of the outcomes."""
        return self.factor[..., self.n_covariates :]

    @property
    def n_values(self) -> int:
        """Numbers that the factors hold."""
        return self.factor.size

    @property
    def pooled_rows(self) -> FloatArray:
        """(G r, p + m) factor rows of all units, of the weighted panel's cross-products."""
        factor = self.factor
        if self.unit_weights is not None:
            factor = factor * np.sqrt(self.unit_weights)[:, None, None]
        return factor.reshape(-1, factor.shape[-1])

    def content(self, unit: int) -> bytes:
        """The same for units with the same factor."""
        return bytes(self.factor[unit].tobytes())

    def without_unit(self, unit: int) -> PreparedPanel:
        """The same with a unit that has no rows, everything else as it is."""
        others = np.arange(self.n_units) != unit
        emptied = self.factor * others[:, None, None]
        return replace(self, factor=emptied, **self._emptied(unit))

    def only_unit(self, unit: int) -> PreparedPanel:
        """One unit, scales as they are."""
        return replace(self, factor=self.factor[unit : unit + 1], **self._alone(unit))


def compress(panel: Panel, kernels: Kernels = "auto") -> PreparedPanel:
    """Compress a panel of normal outcomes.

    Parameters
    ----------
    panel
        Rows sorted by unit and cell, as `mixcompare.data.panel.build_panel` gives them.
    kernels
        ``"numba"`` factors the units by a compiled kernel, ``"numpy"`` does not, and
        ``"auto"`` does so for many rows.
    """
    columns = (panel.covariates, panel.outcomes)
    if panel.cell is not None:
        starts = np.flatnonzero(np.diff(panel.cell, prepend=-1))
        columns = (within_runs(panel.covariates, starts), within_runs(panel.outcomes, starts))
    known = described(panel, columns)
    unlike = panel.unit_weights is not None or panel.cell is not None
    plain = norms(columns) if unlike else known["raw_norm"]
    return PreparedPanel(factor=factorise(*columns, known["n_rows"], plain, kernels), **known)
