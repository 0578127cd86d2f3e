"""The mixture as a PyMC model, assembled from its terms."""

from __future__ import annotations

from contextlib import nullcontext

import pymc as pm

from mixcompare.backends.pymc.graphs import exchangeable, plain
from mixcompare.backends.pymc.mixture import Mixture, build_mixture, suffix
from mixcompare.prepared.problem import Problem


def build_model(problem: Problem) -> pm.Model:
    """Write a specification as a PyMC model.

    Nothing tells one class from another: the prior is the same for all, and no order
    is imposed, so labels are exchangeable and have to be aligned afterwards.

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
    dims, term = mixture.dimensions.by_array, mixture.classes.term
    # Transforms keep every variable in range; checks of it would only be compiled.
    with pm.Model(coords=dict(mixture.dimensions.coords), check_bounds=False) as model:
        data = exchangeable(term, mixture.classes.inputs())
        classes = term.variables(data, dims)
        densities = []
        for tag, response in mixture.responses:
            with pm.Model(name=tag.removesuffix("::")) if tag else nullcontext():
                rows = exchangeable(response.term, response.inputs())
                variables = response.term.variables(rows, plain(dims, suffix(tag)))
                densities.append(response.term.log_density(variables, rows))
        term.likelihood(classes, sum(densities[1:], densities[0]), data, dims)
    return model
