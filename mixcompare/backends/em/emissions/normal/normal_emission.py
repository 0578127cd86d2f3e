"""A response of one or more outcomes that are jointly normal given the class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from mixcompare.backends.em.classes.static import StaticClasses
from mixcompare.backends.em.emissions.emission import Emission, Spurious
from mixcompare.backends.em.emissions.normal import starts
from mixcompare.backends.em.emissions.normal.covariances import roots
from mixcompare.backends.em.emissions.normal.degeneracy import is_regular, rounding, why_singular
from mixcompare.backends.em.emissions.normal.derivatives import NormalDerivatives, free_places
from mixcompare.backends.em.emissions.normal.maximisation import maximise
from mixcompare.backends.em.emissions.normal.prior import log_prior
from mixcompare.backends.em.emissions.normal.spurious import find_spurious, rounding_steps
from mixcompare.backends.em.emissions.normal.standardise import Standardised, standardise
from mixcompare.backends.em.emissions.normal.statistics import Counted, residuals
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.theta import LOG_2PI, Blocks
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import OptionError
from mixcompare.model.covariances import has_covariances
from mixcompare.model.responses import Response
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.resolved_priors import ResolvedPriors

# Of a covariance's smallest eigenvalue, relative to its largest element.
_ROUNDING = 1e-12
# So many equal units are worth counting when a fit fails.
_MANY_EQUAL = 10
# Classes that agree to this, relative to their standard deviations, are as good as the same: EM
# moves so little there that it stops before they are.
_SAME = 0.05


@dataclass(frozen=True, eq=False)
class NormalEmission(Emission):
    """Normal regressions; blocks are ``coefficients`` (K, p, m) and ``covariance`` (K, m, m).

    Coefficients are the same in all classes where they are common, and covariances where they
    are shared. Free parameters are the coefficients, and the elements of each covariance, in
    which every structure is linear; extrapolation happens in coordinates of its own, without
    bounds.

    Rows are in standardised coordinates.
    """

    data: Standardised

    @classmethod
    def of(
        cls,
        response: Response,
        n_components: int,
        prepared: Prepared,
        priors: ResolvedPriors | None,
    ) -> NormalEmission:
        """A normal response, on its compressed rows."""
        assert isinstance(prepared, PreparedPanel)
        return cls(standardise(response, n_components, prepared, priors))

    @property
    def n_components(self) -> int:  # type: ignore[override]
        """Number of classes."""
        return self.data.n_components

    @property
    def n_outcomes(self) -> int:  # type: ignore[override]
        """Number of outcomes, m."""
        return self.data.shape[-1]

    @property
    def rows(self) -> FloatArray:
        """(C,) degrees of freedom."""
        return self.data.degrees_of_freedom

    @property
    def size(self) -> int:
        """Values of covariates and outcomes."""
        return self.data.covariates.size + self.data.outcomes.size

    @property
    def chunk_values(self) -> int:
        """A unit's rows, and the cross-products of its residuals."""
        _, r, p, m = self.data.shape
        return r * (p + m) + m * m

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the blocks."""
        k, (_, _, p, m) = self.n_components, self.data.shape
        return {"coefficients": (k, p, m), "covariance": (k, m, m)}

    def with_components(self, number: int) -> NormalEmission:
        """The same with another number of classes."""
        return replace(self, data=replace(self.data, n_components=number))

    def on_other_rows(self, prepared: Prepared) -> NormalEmission:
        """The same for rows that were not fitted."""
        assert isinstance(prepared, PreparedPanel)
        return replace(self, data=self.data.of_rows(prepared))

    def log_density(self, theta: Blocks) -> FloatArray:
        """``-1/2 [nu m log(2 pi) + nu log|Sigma| + tr(Sigma^-1 S)]`` with the residuals' S.

        The cross-product S is taken from triangular factors, never from differences of moments.
        NaN where Sigma is singular up to rounding.
        """
        data = self.data
        units, _, p, m = data.shape
        nu, coefficients = data.degrees_of_freedom, theta["coefficients"]
        every = zip(
            coefficients.reshape(-1, p, m), theta["covariance"].reshape(-1, m, m), strict=True
        )
        columns = []
        for b, sigma in every:
            root = roots(sigma)
            flat = residuals(data, b).reshape(-1, m)
            scaled = solve_triangular(root, flat.T, lower=True, check_finite=False).T
            distance = np.square(scaled).reshape(units, -1).sum(axis=1)
            log_determinant = 2 * (np.log(np.diag(root)).sum() + data.log_scale)
            columns.append(-0.5 * (nu * (m * LOG_2PI + log_determinant) + distance))
        return np.stack(columns).reshape(*coefficients.shape[:-2], units).mT

    def m_step(self, expected: Expected, previous: Blocks | None) -> tuple[Blocks, list[str]]:
        """Weighted least squares and residual cross-products, see `maximisation`."""
        data = self.data
        return maximise(data, expected, previous, lambda e: Counted(data, e.counts))[:2]

    def log_prior(self, theta: Blocks) -> FloatArray:
        """(...,) of coefficients and covariances that classes do not share, and once of others."""
        data = self.data
        if data.prior is None:
            return np.zeros(theta["coefficients"].shape[:-3])
        raw = data.to_raw(theta)
        return log_prior(data.structure, data.prior.raw, data.is_common, *raw.values())

    def unbounded(self, theta: Blocks) -> FloatArray:
        """(S, n) coefficients, and covariance roots with log diagonals."""
        lower = roots(theta["covariance"])
        m = lower.shape[-1]
        below = lower[..., *np.tril_indices(m, -1)]
        diagonal = np.log(np.diagonal(lower, axis1=-2, axis2=-1))
        parts = (theta["coefficients"], diagonal, below)
        return np.concatenate([part.reshape(len(lower), -1) for part in parts], axis=1)

    def bounded(self, vectors: FloatArray, like: Blocks) -> Blocks:
        """The inverse of `unbounded`."""
        starts_, (k, p, m) = len(vectors), like["coefficients"].shape[-3:]
        sizes = np.cumsum([k * p * m, k * m])
        coefficients, diagonal, below = np.split(vectors, sizes, axis=1)
        lower = np.zeros((starts_, k, m, m))
        lower[..., *np.tril_indices(m, -1)] = below.reshape(starts_, k, m * (m - 1) // 2)
        lower[..., range(m), range(m)] = np.exp(diagonal.reshape(starts_, k, m))
        return {
            "coefficients": coefficients.reshape(starts_, k, p, m),
            "covariance": lower @ lower.mT,
        }

    @cached_property
    def places(self) -> IntArray:
        """(K, p m + q) places of each class's coefficients and covariance elements."""
        return free_places(self.data)

    def to_raw(self, theta: Blocks) -> Blocks:
        """Parameters in the data's own units."""
        return self.data.to_raw(theta)

    def from_raw(self, theta: Blocks) -> Blocks:
        """Parameters in standardised units."""
        return self.data.from_raw(theta)

    def is_regular(self, theta: Blocks) -> NDArray[np.bool_]:
        """(S,) whether rounding can tell all covariances from singular ones."""
        return is_regular(self.data, theta).all(axis=1)

    def why_irregular(self, theta: Blocks) -> str:
        """The first component whose covariance is singular, and why."""
        return "" if is_regular(self.data, theta).all() else why_singular(self.data, theta)

    def rounding(self, theta: Blocks) -> FloatArray:
        """(S,) error of a log-likelihood that the worst conditioned covariance causes."""
        return rounding(self.data, theta)

    def check_initial(self, theta: Blocks) -> Blocks:
        """The same; OptionError if a covariance is not positive definite."""
        sigma = theta["covariance"]
        finite = np.isfinite(sigma).all()
        size = np.abs(sigma).max(axis=(1, 2)) if finite else np.zeros(len(sigma))
        if not (np.all(size > 0) and np.all(np.linalg.eigvalsh(sigma)[:, 0] > -_ROUNDING * size)):
            raise OptionError("initial covariances must be positive definite.")
        return theta

    def features(self) -> FloatArray:
        """(G, p m) least-squares coefficients of every unit, shrunk towards the pooled fit."""
        return starts.unit_summaries(self.data)

    def proposal(self, kind: str, rng: np.random.Generator) -> Blocks | None:
        """Start ``"elemental"``, from few units, or ``"perturbed"``, near the pooled fit."""
        if kind not in ("elemental", "perturbed"):
            return None
        make = starts.elemental if kind == "elemental" else starts.perturbed
        coefficients = make(self.data, rng)
        covariance = starts.covariances_of_nearest(self.data, coefficients)
        return {"coefficients": coefficients, "covariance": covariance}

    @cached_property
    def rounding_steps(self) -> FloatArray:
        """(m,) steps between the outcomes' values, see `spurious`."""
        return rounding_steps(self.data)

    def spurious(
        self, theta: Blocks, expected: Expected, classes: StaticClasses
    ) -> Spurious | None:
        """The narrowest class that a few rows make, see `spurious`."""
        steps = self.rounding_steps
        return find_spurious(self.data, theta["covariance"], expected, classes, steps)

    def advice(self, message: str) -> str:
        """Which simpler model does not collapse."""
        n_units, _, _, m = self.data.shape
        if self.n_components == 1 and "collapsed" in message:
            return (
                "Given the covariates the outcomes are collinear but for rounding: leave one of "
                "them out, take their difference in its place, or ask for covariance='diagonal'."
            )
        rows = [np.asarray(part) for part in (self.data.covariates, self.data.outcomes)]
        units = np.concatenate(rows, axis=2).reshape(n_units, -1)
        equal = int(np.unique(units, axis=0, return_counts=True)[1].max())
        onto = "a few rows, one value of an outcome or an exact relation of several"
        if equal >= _MANY_EQUAL:
            onto = f"the {equal:,} of {n_units:,} units that are equal"
        full = has_covariances(self.data.structure.covariance) and m > 1
        simpler = "covariance='diagonal' or 'spherical'" if full else "a simpler covariance"
        return (
            f"The likelihood of a mixture is unbounded where a component shrinks onto {onto}: ask "
            f"for fewer components, covariance_by='shared', {simpler}, or the mode of the "
            "posterior (estimator='map'), whose priors keep components from collapsing."
        )

    def coincide(self, theta: Blocks, k: int, other: int) -> bool:
        """Whether two classes agree within a fraction of their standard deviations."""
        b, sigma = theta["coefficients"], theta["covariance"]
        first, second = min(k, other), max(k, other)
        sd = np.sqrt(np.diagonal(sigma[first]))
        by_mean = np.abs(b[second] - b[first]) <= _SAME * sd
        by_spread = np.abs(sigma[second] - sigma[first]) <= _SAME * np.outer(sd, sd)
        return bool(by_mean.all() and by_spread.all())

    def moved(self, theta: Blocks, step: FloatArray) -> Blocks:
        """Parameters a step of the free ones away; covariances by way of their logarithm."""
        basis = self.derivatives(theta).basis
        coefficients, covariance = theta["coefficients"].copy(), np.empty_like(theta["covariance"])
        size = coefficients[0].size
        for c, (sigma, places) in enumerate(zip(theta["covariance"], self.places, strict=True)):
            coefficients[c] += step[places[:size]].reshape(coefficients[c].shape)
            root = np.linalg.cholesky(sigma)
            change = np.tensordot(step[places[size:]], basis, 1)
            values, vectors = np.linalg.eigh(np.linalg.solve(root, np.linalg.solve(root, change).T))
            turned = root @ vectors * np.exp(np.clip(values, -1.0, 1.0) / 2)
            covariance[c] = turned @ turned.T
        return {"coefficients": coefficients, "covariance": covariance}

    def derivatives(self, theta: Blocks) -> NormalDerivatives:
        """Scores and information in closed form."""
        return NormalDerivatives(self, theta, self.data)

    def scores(self, theta: Blocks) -> FloatArray:
        """(C, K, p m + q) derivatives by coefficients and covariance elements."""
        derivatives = self.derivatives(theta)
        every, ones = np.arange(len(self.rows)), np.ones(len(self.rows))
        each = range(self.n_components)
        return np.stack([derivatives.of_class(k, every, ones)[0] for k in each], axis=1)
