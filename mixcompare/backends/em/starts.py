"""Starting class probabilities of several kinds, because no kind finds every optimum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixcompare.backends.em.clusters import clusters
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DegenerateFitError, OptionError
from mixcompare.fits.fit import Fit

_CARRIERS_AT_A_TIME = 8192

# Share of the carriers that a moved start puts into other classes at the most.
_MOST_MOVED: Final = 0.2


def starting_occupancies(
    model: Mixture, options: Options, seed: np.random.SeedSequence
) -> Iterator[tuple[str, FloatArray]]:
    """Yield (kind, class probabilities (C, K)) of every start, the user's own first.

    Each start has its own child of the seed, so that start number i is the same whatever
    the number of starts.
    """
    if options.initial is not None:
        yield "user", users_start(model, options.initial)
    yield from random_starts(model, options, seed.spawn(options.first_starts), 0)


def random_starts(
    model: Mixture, options: Options, seeds: Sequence[np.random.SeedSequence], first: int
) -> Iterator[tuple[str, FloatArray]]:
    """Yield (kind, class probabilities (C, K)) of random starts.

    One for each seed; `first` is the number of the first of them, from which the kinds follow.
    """
    for i, child in enumerate(seeds, start=first):
        kind = options.kinds[i % len(options.kinds)]
        yield kind, _start(model, kind, np.random.default_rng(child))


def _start(model: Mixture, kind: str, rng: np.random.Generator) -> FloatArray:
    """A start of a kind; a random one where a family does not know it."""
    if kind == "kmeans":
        return kmeans(model, rng)
    proposals = [emission.proposal(kind, rng) for emission in model.emissions]
    responses = tuple(proposal for proposal in proposals if proposal is not None)
    if len(responses) < len(model.emissions):
        return random(model, rng)
    return model.occupancy(Theta(model.classes.even(), responses))


def moved(occupancy: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Move a fit (C, K) a little, so that EM may climb from it to a neighbouring optimum.

    Some carriers, mostly few, are put into other classes (iterated local search: Lourenco,
    Martin & Stuetzle 2003); or, from three classes up and every second time, two classes are
    merged and a third one's carriers are split at random (Ueda, Nakano, Ghahramani & Hinton
    2000).
    """
    classes = occupancy.argmax(axis=1)
    carriers, k = occupancy.shape
    if k > 2 and rng.random() < 0.5:
        merged, empty, parted = rng.permutation(k)[:3]
        classes[classes == empty] = merged
        of_parted = np.flatnonzero(classes == parted)
        classes[of_parted[rng.random(len(of_parted)) < 0.5]] = empty
        return _hard(classes, k)
    most = max(_MOST_MOVED * carriers, 1.0)
    count = int(np.ceil(np.exp(rng.uniform(0.0, np.log(most)))))
    drawn = rng.choice(carriers, min(count, carriers), replace=False)
    classes[drawn] = (classes[drawn] + rng.integers(1, k, size=len(drawn))) % k
    return _hard(classes, k)


def kmeans(model: Mixture, rng: np.random.Generator) -> FloatArray:
    """k-means++ on the carriers' features, scaled by their spread."""
    features = model.features()
    spread = _spread(features)
    features /= np.where(spread > 0, spread, 1.0)
    classes = clusters(features, model.n_components, rng)
    del features
    if classes is None:  # a cluster emptied, as happens with few distinct carriers
        return random(model, rng)
    return _hard(classes, model.n_components)


def random(model: Mixture, rng: np.random.Generator) -> FloatArray:
    """Independent Dirichlet(0.2) class probabilities: mostly one class, never exactly one."""
    return rng.dirichlet(np.full(model.n_components, 0.2), size=model.n_carriers)


def _spread(values: FloatArray) -> FloatArray:
    """Standard deviations of columns; many rows a part at a time, added up in the same order."""
    if values.shape[1] == 1 or len(values) <= _CARRIERS_AT_A_TIME:
        return np.asarray(values.std(axis=0))
    mean, total = values.mean(axis=0), np.zeros((1, values.shape[1]))
    for i in range(0, len(values), _CARRIERS_AT_A_TIME):
        squares = np.square(values[i : i + _CARRIERS_AT_A_TIME] - mean)
        total = np.concatenate([total, squares]).sum(axis=0, keepdims=True)
    return np.asarray(np.sqrt(total[0] / len(values)))


def users_start(model: Mixture, initial: Any) -> FloatArray:
    """Class probabilities from parameters, classes or probabilities that a user gives.

    Raises
    ------
    OptionError
        If the shapes do not suit the model or the values are not valid.
    DegenerateFitError
        If a covariance is singular up to rounding.
    """
    if isinstance(initial, Fit):
        initial = initial.estimate
    if isinstance(initial, Mapping):
        at = model.from_raw(_users_parameters(model, initial))
        if reason := model.why_irregular(at):
            raise DegenerateFitError(f"EM cannot start from the initial parameters: {reason}.")
        return model.occupancy(at)
    units, k = model.n_carriers, model.n_components
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


def _users_parameters(model: Mixture, initial: Mapping[str, Any]) -> Theta:
    # Class probabilities alone will do where they depend on covariates.
    optional = set(model.classes.shapes) - {"weights"} - set(initial)
    shapes = {name: shape for name, shape in model.shapes.items() if name not in optional}
    if set(initial) != set(shapes):
        raise OptionError(
            f"initial parameters must be {', '.join(shapes)}; they are {', '.join(initial)}."
        )
    arrays = {name: np.asarray(initial[name], dtype=float) for name in shapes}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise OptionError(f"initial {name} must have shape {shape}, not {arrays[name].shape}.")
    given = model.theta(arrays)
    pairs = zip(model.emissions, given.responses, strict=True)
    responses = tuple(emission.check_initial(response) for emission, response in pairs)
    return Theta(model.classes.check_initial(given.classes), responses)


def _hard(classes: np.ndarray, k: int) -> FloatArray:
    return np.asarray(np.eye(k)[classes])
