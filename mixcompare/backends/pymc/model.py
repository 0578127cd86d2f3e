"""The mixture as a PyMC model, assembled from its terms."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pymc as pm

from mixcompare.backends.pymc.coordinates import Coordinates
from mixcompare.backends.pymc.mixture import Mixture, build_mixture, suffix
from mixcompare.prepared.problem import Problem


def build_model(problem: Problem) -> pm.Model:
    """Write a specification as a PyMC model.

    Nothing tells one class from another: the prior is the same for all, and no order
    is imposed, so labels are exchangeable and have to be aligned afterwards.

    Parameters
    ----------
    problem
        The model, its priors and its data.

    Returns
    -------
    A model whose free variables are those of its terms: ``weights`` (absent for one class) or
    ``membership`` (contrast, direction; see `mixcompare.backends.pymc.classes.membership`), and
    those of the responses, see `mixcompare.backends.pymc.emissions`. Deterministics in original
    units: ``coefficients``, ``covariance``, and with unit covariates
    ``membership_coefficients`` and ``weights``. Observed: ``outcomes``, the units with how often
    they count. Every number that comes from data or priors is a ``pm.Data``, see
    `Mixture.inputs`.
    """
    return model_of(build_mixture(problem))


def model_of(mixture: Mixture) -> pm.Model:
    """The model of a mixture, see `build_model`."""
    named = mixture.dimensions
    # Transforms keep every variable in range; checks of it would only be compiled.
    with pm.Model(coords=dict(named.coords), check_bounds=False) as model:
        term, data = mixture.classes.term, _data(mixture.classes)
        classes = term.variables(data, named.by_array)
        densities = []
        for (tag, _), emission in zip(mixture.parts[1:], mixture.emissions, strict=True):
            with pm.Model(name=tag.removesuffix("::")) if tag else nullcontext():
                rows = _data(emission)
                variables = emission.term.variables(rows, named.of_response(suffix(tag)))
                densities.append(emission.term.log_density(variables, rows))
        term.likelihood(classes, sum(densities[1:], densities[0]), data, named.by_array)
    return model


def _data(part: Coordinates) -> dict[str, Any]:
    """A term's data, with sizes left open in which data of one graph differ."""
    shapes = part.term.input_shapes
    return {
        name: pm.Data(name, array, shape=shapes.get(name, (None,) * array.ndim))
        for name, array in part.inputs().items()
    }
