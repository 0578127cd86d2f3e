"""Starting responsibilities of several kinds, because no kind finds every optimum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixcompare.backends.em.clusters import clusters
from mixcompare.backends.em.degeneracy import is_regular, why_singular
from mixcompare.backends.em.expectation import responsibilities_at
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import Standardised
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DegenerateFitError, OptionError
from mixcompare.fits.fit import Fit
from mixcompare.model.spec import MixtureSpec

# Of a covariance's smallest eigenvalue, relative to its largest element.
_ROUNDING = 1e-12
_UNITS_AT_A_TIME = 8192

type Start = Callable[[MixtureSpec, Standardised, np.random.Generator], FloatArray]

# Share of the units that a moved start puts into other classes at the most.
_MOST_MOVED: Final = 0.2
# Least variances of a start, in standardised units: of all classes together and of one.
_LEAST_VARIANCE: Final = 1e-3
_LEAST_OF_CLASS: Final = 1e-6


def starting_responsibilities(
    spec: MixtureSpec, data: Standardised, options: Options, seed: np.random.SeedSequence
) -> Iterator[tuple[str, FloatArray]]:
    """Yield (kind, responsibilities (G, K)) of every start, the user's own first.

    Each start has its own child of the seed, so that start number i is the same whatever
    the number of starts.
    """
    if options.initial is not None:
        yield "user", users_start(spec, data, options.initial)
    yield from random_starts(spec, data, options, seed.spawn(options.first_starts), 0)


def random_starts(
    spec: MixtureSpec,
    data: Standardised,
    options: Options,
    seeds: Sequence[np.random.SeedSequence],
    first: int,
) -> Iterator[tuple[str, FloatArray]]:
    """Yield (kind, responsibilities (G, K)) of random starts.

    Parameters
    ----------
    seeds
        One for each.
    first
        Number of the first of them, from which the kinds follow.
    """
    for i, child in enumerate(seeds, start=first):
        kind = options.kinds[i % len(options.kinds)]
        yield kind, _KINDS[kind](spec, data, np.random.default_rng(child))


def moved(responsibilities: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Move a fit (G, K) a little, so that EM may climb from it to a neighbouring optimum.

    Some units, mostly few, are put into other classes (iterated local search: Lourenco,
    Martin & Stuetzle 2003); or, from three classes up and every second time, two classes are
    merged and a third one's units are split at random (Ueda, Nakano, Ghahramani & Hinton 2000).
    """
    classes = responsibilities.argmax(axis=1)
    units, k = responsibilities.shape
    if k > 2 and rng.random() < 0.5:
        merged, empty, parted = rng.permutation(k)[:3]
        classes[classes == empty] = merged
        of_parted = np.flatnonzero(classes == parted)
        classes[of_parted[rng.random(len(of_parted)) < 0.5]] = empty
        return _hard(classes, k)
    most = max(_MOST_MOVED * units, 1.0)
    count = int(np.ceil(np.exp(rng.uniform(0.0, np.log(most)))))
    chosen = rng.choice(units, min(count, units), replace=False)
    classes[chosen] = (classes[chosen] + rng.integers(1, k, size=len(chosen))) % k
    return _hard(classes, k)


def kmeans(spec: MixtureSpec, data: Standardised, rng: np.random.Generator) -> FloatArray:
    """k-means++ on the units' own least-squares coefficients.

    These are shrunk to the pooled fit by one row's worth of information, so that short
    units have them too, and scaled by their spread.
    """
    summaries = unit_summaries(data)
    spread = _spread(summaries)
    summaries /= np.where(spread > 0, spread, 1.0)
    classes = clusters(summaries, spec.n_components, rng)
    del summaries
    if classes is None:  # a cluster emptied, as happens with few distinct units
        return random(spec, data, rng)
    return _hard(classes, spec.n_components)


def random(spec: MixtureSpec, data: Standardised, rng: np.random.Generator) -> FloatArray:
    """Independent Dirichlet(0.2) responsibilities: mostly one class, never exactly one."""
    return rng.dirichlet(np.full(spec.n_components, 0.2), size=data.shape[0])


def elemental(spec: MixtureSpec, data: Standardised, rng: np.random.Generator) -> FloatArray:
    """Fit each component by least squares to a few random units of its own."""
    units, _, p, m = data.shape
    order = rng.permutation(units)
    per_component = _units_that_identify(data, order, spec.n_components)
    coefficients = np.empty((spec.n_components, p, m))
    for k in range(spec.n_components):
        chosen = order[k * per_component : (k + 1) * per_component]
        x = data.covariates[chosen].reshape(-1, p)
        y = data.outcomes[chosen].reshape(-1, m)
        coefficients[k] = _shrunk_regression(x, y)
    return _from_coefficients(spec, data, coefficients)


def perturbed(spec: MixtureSpec, data: Standardised, rng: np.random.Generator) -> FloatArray:
    """Pooled fit plus noise of the size of one unit's standard errors."""
    units, _, p, m = data.shape
    # In whitened coordinates the pooled fit is zero and its standard errors are 1/sqrt(N).
    rows_per_unit = max(data.degrees_of_freedom.sum() / units, 1.0)
    noise = rng.normal(size=(spec.n_components, p, m)) / np.sqrt(rows_per_unit)
    return _from_coefficients(spec, data, noise)


_KINDS: Mapping[str, Start] = {
    "kmeans": kmeans,
    "random": random,
    "elemental": elemental,
    "perturbed": perturbed,
}


def unit_summaries(data: Standardised) -> FloatArray:
    """(G, p m) least-squares coefficients of every unit, shrunk towards the pooled fit."""
    units, _, p, m = data.shape
    summaries = np.empty((units, p * m))
    for i in range(0, units, _UNITS_AT_A_TIME):
        part = slice(i, i + _UNITS_AT_A_TIME)
        x, y = data.covariates[part], data.outcomes[part]
        gram = np.einsum("gri,grj->gij", x, x) + np.eye(p)
        cross = np.einsum("gri,grj->gij", x, y)
        summaries[part] = np.linalg.solve(gram, cross).reshape(len(x), p * m)
    return summaries


def _spread(values: FloatArray) -> FloatArray:
    """Standard deviations of columns; many rows a part at a time, added up in the same order."""
    if values.shape[1] == 1 or len(values) <= _UNITS_AT_A_TIME:
        return np.asarray(values.std(axis=0))
    mean, total = values.mean(axis=0), np.zeros((1, values.shape[1]))
    for i in range(0, len(values), _UNITS_AT_A_TIME):
        squares = np.square(values[i : i + _UNITS_AT_A_TIME] - mean)
        total = np.concatenate([total, squares]).sum(axis=0, keepdims=True)
    return np.asarray(np.sqrt(total[0] / len(values)))


def users_start(spec: MixtureSpec, data: Standardised, initial: Any) -> FloatArray:
    """Responsibilities from parameters, classes or responsibilities that a user gives.

    Raises
    ------
    OptionError
        If the shapes do not suit the model or the values are not valid.
    DegenerateFitError
        If a covariance is singular up to rounding.
    """
    if isinstance(initial, Fit):
        initial = initial.layout.take(initial.tree["estimate"].to_dataset())
    if isinstance(initial, Mapping):
        at = data.from_raw(_users_parameters(spec, data, initial))
        if not is_regular(data, at.coefficients, at.covariance).all():
            reason = why_singular(data, at.coefficients, at.covariance)
            raise DegenerateFitError(f"EM cannot start from the initial parameters: {reason}.")
        return responsibilities_at(data, at)
    units, k = data.shape[0], spec.n_components
    array = np.asarray(initial)
    if array.shape == (units,) and np.issubdtype(array.dtype, np.integer):
        if array.min() < 0 or array.max() >= k:
            raise OptionError(
                f"initial classes must lie in 0..{k - 1}; they lie in {array.min()}..{array.max()}."
            )
        return _hard(array, k)
    if array.shape == (units, k):
        values = array.astype(float)
        if not (np.all(values >= 0) and np.allclose(values.sum(axis=1), 1, rtol=0, atol=1e-8)):
            raise OptionError(
                "initial responsibilities must not be negative and must sum to 1 by unit."
            )
        return values
    raise OptionError(
        f"initial must be a Fit, a mapping of parameters, {units} whole-number classes or "
        f"responsibilities of shape ({units}, {k}), not an array of shape {array.shape}."
    )


def _users_parameters(
    spec: MixtureSpec, data: Standardised, initial: Mapping[str, Any]
) -> Parameters:
    _, _, p, m = data.shape
    k = spec.n_components
    shapes = {"weights": (k,), "coefficients": (k, p, m), "covariance": (k, m, m)}
    if data.concomitants is not None and "membership_coefficients" in initial:
        shapes["membership_coefficients"] = (k, data.concomitants.shape[1])
    if set(initial) != set(shapes):
        raise OptionError(
            f"initial parameters must be {', '.join(shapes)}; they are {', '.join(initial)}."
        )
    arrays = {name: np.asarray(initial[name], dtype=float) for name in shapes}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise OptionError(f"initial {name} must have shape {shape}, not {arrays[name].shape}.")
    sigma = arrays["covariance"]
    size = np.abs(sigma).max(axis=(1, 2)) if np.isfinite(sigma).all() else np.zeros(k)
    positive = np.all(size > 0) and np.all(np.linalg.eigvalsh(sigma)[:, 0] > -_ROUNDING * size)
    if not (np.all(arrays["weights"] >= 0) and arrays["weights"].sum() > 0 and positive):
        raise OptionError(
            "initial weights must not be negative and covariances must be positive definite."
        )
    weights = arrays["weights"] / arrays["weights"].sum()
    odds = arrays.get("membership_coefficients")
    if odds is not None:
        odds = odds - odds[0]
    return Parameters(weights, arrays["coefficients"], arrays["covariance"], odds)


def _units_that_identify(data: Standardised, order: np.ndarray, k: int) -> int:
    """Least number of units per component with more rows than coefficients, if there are."""
    _, _, p, _ = data.shape
    typical = max(float(np.median(data.degrees_of_freedom[order])), 1.0)
    return int(max(1, min(len(order) // k, np.ceil((p + 1) / typical))))


def _shrunk_regression(x: FloatArray, y: FloatArray) -> FloatArray:
    # A tiny ridge: a few units may not identify every coefficient, and the pooled fit
    # (zero in these coordinates) is the honest guess for the rest.
    ridge = 1e-3 * np.eye(x.shape[1])
    return np.linalg.solve(x.T @ x + ridge, x.T @ y)


def _from_coefficients(
    spec: MixtureSpec, data: Standardised, coefficients: FloatArray
) -> FloatArray:
    """E-step with equal weights and the variances of the units nearest to each component.

    A class's own variance finds narrow classes, which a common one spreads over the others.
    It comes from the median squared residual, as in the least median of squares (Rousseeuw
    1984), so that the units of other classes that are nearest to a wrong line do not matter.
    """
    k, p, m = coefficients.shape
    squares = np.stack([_squared_residuals(data, b) for b in coefficients])
    numbers = data.degrees_of_freedom * m
    pooled = max(squares.min(axis=0).sum() / numbers.sum(), _LEAST_VARIANCE)
    variances = np.full(k, pooled)
    if spec.covariance_by == "component":
        nearest = np.where(numbers > 0, squares.argmin(axis=0), -1)
        for c in range(k):
            own = nearest == c
            if data.degrees_of_freedom[own].sum() > 2 * (p + 1):
                each = squares[c, own] / (numbers[own] * chi_squared_median(numbers[own]))
                variances[c] = max(float(np.median(each)), _LEAST_OF_CLASS)
    covariance = variances[:, None, None] * np.eye(m)
    start = Parameters(np.full(k, 1 / k), coefficients, covariance)
    return responsibilities_at(data, start)


def chi_squared_median(degrees: FloatArray) -> FloatArray:
    """Median of chi-squared over its degrees of freedom (Wilson & Hilferty 1931)."""
    return np.asarray((1 - 2 / (9 * degrees)) ** 3)


def _squared_residuals(data: Standardised, coefficients: FloatArray) -> FloatArray:
    """(G,) summed over rows and outcomes, some units at a time so that all are not copied."""
    return np.concatenate(
        [
            np.square(
                data.outcomes[i : i + _UNITS_AT_A_TIME]
                - data.covariates[i : i + _UNITS_AT_A_TIME] @ coefficients
            ).sum(axis=(1, 2))
            for i in range(0, data.shape[0], _UNITS_AT_A_TIME)
        ]
    )


def _hard(classes: np.ndarray, k: int) -> FloatArray:
    return np.asarray(np.eye(k)[classes])
