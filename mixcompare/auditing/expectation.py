"""Candidates for the E-step: on which rows, and from densities to responsibilities.

``expectation data`` candidates take `Rows` and name one of its versions; ``density``
candidates take `Densities` and change them; ``expectation`` candidates take `Densities` and give
responsibilities (G, K).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from mixcompare.auditing.registry import candidate
from mixcompare.auditing.rows import Rows
from mixcompare.backends.em.parameters import Parameters
from mixcompare.panel import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """What an E-step may use, by unit and class.

    Attributes
    ----------
    distance
        (G, K) squared Mahalanobis lengths of the residuals.
    log_determinant
        (K,) of the covariances, in raw units.
    counts, n_rows
        (G,) degrees of freedom of the likelihood, and rows.
    weights
        (K,) class weights.
    raw_variance
        (K,) variances in raw units if there is one outcome, else None.
    n_outcomes
        Number of outcomes, m.
    by_component
        Whether the covariances differ by class.
    """

    distance: FloatArray
    log_determinant: FloatArray
    counts: FloatArray
    n_rows: FloatArray
    weights: FloatArray
    raw_variance: FloatArray | None
    n_outcomes: int
    by_component: bool

    @property
    def log_density(self) -> FloatArray:
        """(G, K) log-densities given the class, all constants in."""
        constant = self.n_outcomes * np.log(2 * np.pi) + self.log_determinant
        return -0.5 * (np.outer(self.counts, constant) + self.distance)

    @property
    def joint(self) -> FloatArray:
        """(G, K) logarithms of weight times density."""
        with np.errstate(divide="ignore"):
            return self.log_density + np.log(self.weights)


def densities(rows: Rows, name: str, parameters: Parameters, by_component: bool) -> Densities:
    """Densities on one version of the rows."""
    version = rows.versions[name]
    distance = []
    for b, sigma in zip(parameters.coefficients, parameters.covariance, strict=True):
        rest = version.outcomes - version.covariates @ b
        squares = np.einsum("ni,ij,nj->n", rest, np.linalg.inv(sigma), rest)
        distance.append(np.bincount(rows.unit, squares, len(rows.n_rows)))
    m = len(rows.raw_scale)
    log_determinant = np.linalg.slogdet(parameters.covariance)[1] + 2 * np.log(rows.raw_scale).sum()
    return Densities(
        np.stack(distance, axis=1),
        log_determinant,
        rows.degrees_of_freedom,
        rows.n_rows,
        parameters.weights,
        parameters.covariance[:, 0, 0] * rows.raw_scale[0] ** 2 if m == 1 else None,
        m,
        by_component,
    )


def _version(rows: Rows, name: str) -> str | None:
    return name if name in rows.versions else None


@candidate("expectation data", "", "", kind="exact")
def exact_data(rows: Rows) -> str | None:
    """Rows with the effects removed; effects estimated and added back are the same."""
    return _version(rows, "exact")


@candidate(
    "expectation data",
    "E-step without the effects",
    "The E-step takes residuals of the raw outcomes from the raw covariates without the absorbed "
    "effects (the intercepts), while the coefficients are those of within-transformed data. Use "
    "the within-transformed rows in both steps, or add each class's own effects back.",
)
def raw_data(rows: Rows) -> str | None:
    """Raw outcomes and covariates, intercepts lost."""
    return _version(rows, "raw")


@candidate(
    "expectation data",
    "E-step mixes raw covariates with transformed outcomes",
    "The E-step subtracts predictions from raw covariates from within-transformed outcomes. "
    "Transform both.",
)
def raw_covariates(rows: Rows) -> str | None:
    """Only the outcomes have lost their effects."""
    return _version(rows, "raw covariates")


@candidate(
    "expectation data",
    "E-step mixes raw outcomes with transformed covariates",
    "The E-step subtracts predictions from within-transformed covariates from raw outcomes. "
    "Transform both.",
)
def raw_outcomes(rows: Rows) -> str | None:
    """Only the covariates have lost their effects."""
    return _version(rows, "raw outcomes")


@candidate(
    "expectation data",
    "E-step centred by unit",
    "The E-step's rows are centred by unit, not by the absorbed cells. Centre by the cells.",
)
def centred_by_unit(rows: Rows) -> str | None:
    """Deviations from the unit's mean."""
    return _version(rows, "centred by unit")


@candidate(
    "expectation data",
    "E-step adds the pooled fit's effects back",
    "The E-step adds one set of effects, that of the pooled fit, back for every class. Each class "
    "has effects of its own: the cell's mean outcome less that class's prediction.",
)
def pooled_effects(rows: Rows) -> str | None:
    """Effects of the pooled least-squares fit."""
    return _version(rows, "pooled effects")


@candidate(
    "expectation data",
    "E-step without the intercept",
    "The E-step's predictions leave the intercept out. Add it.",
)
def no_intercept(rows: Rows) -> str | None:
    """The constant column is lost."""
    return _version(rows, "no intercept")


@candidate("density", "", "", kind="exact")
def normal(given: Densities) -> Densities:
    """The normal density."""
    return given


@candidate(
    "density",
    "counts rows that absorption has used",
    "The E-step counts all rows of a within-transformed unit as if they were independent.",
    kind="note",
)
def counts_rows(given: Densities) -> Densities | None:
    """Determinants to the power of the rows."""
    if not given.by_component or np.array_equal(given.counts, given.n_rows):
        return None
    return replace(given, counts=given.n_rows)


@candidate(
    "density",
    "variance used as standard deviation",
    "The E-step's density is given the variance where it expects the standard deviation (as in "
    "scipy.stats.norm's scale). Take the square root.",
)
def variance_as_deviation(given: Densities) -> Densities | None:
    """Variances squared."""
    if given.raw_variance is None:
        return None
    return replace(
        given,
        distance=given.distance / given.raw_variance,
        log_determinant=2 * given.log_determinant,
    )


@candidate(
    "density",
    "E-step without the determinants",
    "The E-step leaves the variances' normalising constants out, although they differ by class. "
    "Subtract half their log-determinant for every row.",
)
def without_determinants(given: Densities) -> Densities | None:
    """Only the exponents."""
    if not given.by_component:
        return None
    return replace(given, log_determinant=np.zeros_like(given.log_determinant))


@candidate("expectation", "", "", kind="exact")
def bayes(given: Densities) -> FloatArray:
    """Bayes' rule."""
    return np.asarray(softmax(given.joint, axis=1))


@candidate(
    "expectation",
    "E-step without the class weights",
    "The E-step's class probabilities are computed from the densities alone, as if all classes "
    "were equally large. Multiply each density by its class's weight.",
)
def without_weights(given: Densities) -> FloatArray:
    """Flat prior on the classes."""
    return np.asarray(softmax(given.log_density, axis=1))


@candidate(
    "expectation",
    "hard assignment",
    "Each unit is given wholly to its most probable class: that is classification EM (Celeux & "
    "Govaert 1992), which does not maximise this likelihood. Keep the probabilities.",
)
def hard(given: Densities) -> FloatArray:
    """Zeros and ones."""
    return np.eye(given.joint.shape[1])[given.joint.argmax(axis=1)]


@candidate(
    "expectation",
    "responsibilities not normalised",
    "The E-step's probabilities are weight times density, not divided by their sum over the "
    "classes. Divide, after subtracting the largest logarithm.",
)
def not_normalised(given: Densities) -> FloatArray:
    """Joint densities."""
    return np.exp(np.clip(given.joint, -745.0, 700.0))
