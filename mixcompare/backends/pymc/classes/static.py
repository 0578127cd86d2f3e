"""One latent class for each unit: weights with a Dirichlet prior, or a multinomial logit.

With unit covariates the free variables are the contrasts of `mixcompare.backends.pymc.classes.
membership`; the weights are then average class probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import gammaln, logsumexp, xlogy

from mixcompare import labels
from mixcompare.backends.pymc import affine_normal
from mixcompare.backends.pymc.classes.membership import (
    MembershipMap,
    helmert_contrasts,
    membership_map,
)
from mixcompare.backends.pymc.coordinates import Arrays, Graphs, Values
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, slots=True)
class StaticTerm:
    """The graph's part that knows of the classes; its sizes are all that shapes it.

    Attributes
    ----------
    n_components
        K.
    n_concomitants
        Unit covariates of the membership, c; 0 where the weights are parameters.
    """

    n_components: int
    n_concomitants: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The free variables and their shapes."""
        k, c = self.n_components, self.n_concomitants
        shapes = {"weights": (0 if k == 1 or c else k,), "membership": (k - 1, c)}
        return {name: shape for name, shape in shapes.items() if 0 not in shape}

    @property
    def open_lengths(self) -> dict[str, int]:
        """See `mixcompare.backends.pymc.emissions.terms.EmissionTerm`: the number of units."""
        return {"unit_weights": 1, "concomitants": 1}

    def variables(self, data: Graphs, dims: Mapping[str, Any]) -> dict[str, Any]:
        """Log class probabilities: (K,), or (G, K) with unit covariates."""
        k = self.n_components
        if self.n_concomitants:
            return {"log_probabilities": self._membership(data, dims)}
        if k == 1:
            weights = pm.Deterministic("weights", pt.ones(1), dims=dims["weights"])
        else:
            weights = pm.Dirichlet(
                "weights", data["concentration"], shape=(k,), dims=dims["weights"]
            )
        return {"log_probabilities": pt.log(weights)}

    def _membership(self, data: Graphs, dims: Mapping[str, Any]) -> Any:
        k, c = self.n_components, self.n_concomitants
        if k == 1:
            scores = pt.zeros((data["concomitants"].shape[0], 1))
            odds = pt.zeros((1, c))
        else:
            terms = [pt.zeros(c), data["membership_spread"], data["membership_log_volume"]]
            free = affine_normal.affine_normal("membership", terms, (k - 1, c))
            scores = data["concomitants"] @ free.T @ helmert_contrasts(k)
            centred = helmert_contrasts(k).T @ free @ data["unmix"].T
            odds = centred - centred[:1]
        log_probabilities = pt.special.log_softmax(scores, axis=-1)
        pm.Deterministic("membership_coefficients", odds, dims=dims["membership_coefficients"])
        share = data["unit_weights"] / data["unit_weights"].sum()
        pm.Deterministic("weights", share @ pt.exp(log_probabilities), dims=dims["weights"])
        return log_probabilities

    def likelihood(
        self, variables: Graphs, log_density: Any, data: Graphs, dims: Mapping[str, Any]
    ) -> None:
        """Observe units, as often as each counts, by their (G, K) densities given the class."""
        pm.CustomDist(
            "outcomes",
            variables["log_probabilities"],
            log_density,
            logp=_marginal,
            signature="(k),(k)->()",
            observed=data["unit_weights"],
            dims=dims["outcomes"],
        )


def _marginal(count: Any, log_probabilities: Any, log_density: Any) -> Any:
    # PyTensor's "stabilize" rewrites, which every mode that samples applies, subtract the
    # largest term before it is exponentiated; evaluate with them.
    return count * pt.logsumexp(log_probabilities + log_density, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class StaticCoordinates:
    """Arithmetic of static classes on arrays, see `mixcompare.backends.pymc.coordinates`.

    Attributes
    ----------
    unit_weights
        (G,) how often each unit counts.
    concentration
        (K,) of the weights' Dirichlet prior.
    membership
        None without unit covariates.
    """

    term: StaticTerm
    unit_weights: FloatArray
    concentration: FloatArray
    membership: MembershipMap | None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return self.term.shapes

    @property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`; weights have one less."""
        fewer = {"weights": (self.term.n_components - 1,)}
        return {name: fewer.get(name, shape) for name, shape in self.shapes.items()}

    def inputs(self) -> Values:
        """See `Coordinates`."""
        if self.membership is None:
            return {"unit_weights": self.unit_weights, "concentration": self.concentration}
        spread = self.membership.spread
        return {
            "unit_weights": self.unit_weights,
            "concomitants": self.membership.concomitants,
            "unmix": self.membership.unmix,
            "membership_spread": spread,
            "membership_log_volume": np.asarray(affine_normal.log_volume(spread)),
        }

    def unconstrained(self, variables: Arrays) -> Values:
        """See `Coordinates`: weights become logarithms less their mean, without the last."""
        result = dict(variables)
        if "weights" in result:
            logarithm = np.log(result["weights"])
            result["weights"] = (logarithm - logarithm.mean(axis=-1, keepdims=True))[..., :-1]
        return result

    def constrained(self, points: Arrays) -> Values:
        """See `Coordinates`."""
        result = dict(points)
        if "weights" in result:
            logarithm = _with_last(result["weights"])
            share = np.exp(logarithm - logarithm.max(axis=-1, keepdims=True))
            result["weights"] = share / share.sum(axis=-1, keepdims=True)
        return result

    def pooled(self) -> Values:
        """See `Coordinates`."""
        values = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        if "weights" in values:
            values["weights"] += 1 / self.term.n_components
        return values

    @property
    def carrier_weights(self) -> FloatArray:
        """(C,) how often each carrier counts: units are their own carriers."""
        return self.unit_weights

    def fitted(self, shares: FloatArray, rng: np.random.Generator) -> Values:  # noqa: ARG002
        """See `Coordinates`: the classes' sizes, of which each has one unit more."""
        sizes = shares.sum(axis=1) + 1
        values = {name: np.zeros((len(shares), *shape)) for name, shape in self.shapes.items()}
        if "weights" in values:
            values["weights"] = sizes / sizes.sum(axis=-1, keepdims=True)
        return values

    def prior_draws(self, noise: Arrays, rng: np.random.Generator) -> Values:
        """See `Coordinates`."""
        values = {name: noise[name] for name in self.shapes}
        if "weights" in values:
            values["weights"] = rng.dirichlet(self.concentration, len(noise["weights"]))
        if self.membership is not None and "membership" in values:
            values["membership"] = affine_normal.solved(self.membership.spread, noise["membership"])
        return values

    def log_prior(self, variables: Arrays) -> FloatArray:
        """See `Coordinates`."""
        if "weights" in self.shapes:
            by_class = self.concentration * np.log(variables["weights"])
            return np.asarray(log_constant(self.concentration) + by_class.sum(axis=-1))
        if self.membership is not None and "membership" in variables:
            spread = self.membership.spread
            standard = variables["membership"] @ spread.T
            return affine_normal.log_density(standard, affine_normal.log_volume(spread))
        return np.zeros(1)

    def log_prior_by_parameter(self, variables: Arrays, parameters: Arrays) -> Values:
        """See `Coordinates`; that of zero-sum coefficients, in orthonormal coordinates."""
        weights = parameters["weights"]
        if self.membership is None:
            a, k = self.concentration[0], weights.shape[-1]
            constant = gammaln(k * a) - k * gammaln(a)
            return {"weights": np.asarray(constant + xlogy(a - 1, weights).sum(axis=-1))}
        contrasts = self._contrasts(variables, len(weights))
        standard = contrasts @ self.membership.spread.T
        volume = affine_normal.log_volume(self.membership.spread)
        change = affine_normal.log_volume(self.membership.unmix)
        each = -0.5 * (standard**2 + affine_normal.LOG_2PI).sum(axis=-1) + volume - change
        return {"membership_coefficients": np.asarray(each.sum(axis=-1))}

    def parameters(self, variables: Arrays, n_draws: int) -> Values:
        """See `Coordinates`; `marginal` has the weights, which may be averages over units."""
        if self.membership is None:
            return {}
        contrasts = self._contrasts(variables, n_draws)
        return {"membership_coefficients": self.membership.coefficients(contrasts)}

    def free_values(self, parameters: Arrays) -> Values:
        """See `Coordinates`."""
        values = {"weights": np.asarray(parameters["weights"], dtype=float)}
        if self.membership is not None:
            odds = parameters.get("membership_coefficients")
            if odds is None:
                raise ValueError("the model needs membership_coefficients.")
            values["membership"] = self.membership.from_coefficients(odds)
        return {name: values[name] for name in self.shapes}

    def renumbered(self, points: Arrays, permutation: IntArray) -> Values:
        """See `Coordinates`."""
        result = dict(points)
        if "weights" in points:
            full = labels.permute(_with_last(points["weights"]), permutation, axis=1)
            result["weights"] = full[:, :-1]
        if "membership" in points:
            contrasts = helmert_contrasts(self.term.n_components)
            rows = labels.permute(contrasts.T @ points["membership"], permutation, axis=1)
            result["membership"] = contrasts @ rows
        return result

    def marginal(
        self, variables: Arrays, log_density: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Likelihood and class probabilities of S draws.

        Of log densities (K, S, C) given each class, which may be written over: (S, G) log
        likelihoods of the units times their weights, (S, C, K) class probabilities given the
        outcomes, and (S, K) average class probabilities.
        """
        joint = log_density
        probabilities, weights = self._probabilities(variables, joint.shape[1])
        joint += probabilities.transpose(2, 0, 1)
        top = joint.max(axis=0)
        relative = np.exp(joint - top)
        total = relative.sum(axis=0)
        log_likelihood = self.unit_weights * (np.log(total) + top)
        return log_likelihood, np.moveaxis(relative / total, 0, -1), weights

    def log_probabilities(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """(S, 1 or C, K) log class probabilities of a problem's carriers at parameters."""
        concomitants = rows.prepared.concomitants
        if concomitants is None:
            with np.errstate(divide="ignore"):
                return np.log(parameters["weights"])[:, None]
        odds = concomitants @ parameters["membership_coefficients"].swapaxes(-1, -2)
        return np.asarray(odds - logsumexp(odds, axis=-1, keepdims=True))

    def _probabilities(self, variables: Arrays, n_draws: int) -> tuple[FloatArray, FloatArray]:
        """Log class probabilities (S, 1 or G, K) and weights (S, K)."""
        if self.membership is None:
            weights = variables.get("weights", np.ones((n_draws, 1)))
            with np.errstate(divide="ignore"):
                return np.log(weights)[:, None, :], weights
        contrasts = self._contrasts(variables, n_draws)
        log_probabilities = self.membership.log_probabilities(contrasts)
        share = self.unit_weights / self.unit_weights.sum()
        return log_probabilities, np.einsum("g,sgk->sk", share, np.exp(log_probabilities))

    def _contrasts(self, variables: Arrays, n_draws: int) -> FloatArray:
        return variables.get("membership", np.zeros((n_draws, 0, self.term.n_concomitants)))


def static_classes(problem: Problem) -> StaticCoordinates:
    """The class model of a specification on a panel."""
    k, prepared, priors = problem.spec.n_components, problem.prepared, problem.priors
    membership = None
    if priors.membership_precision is not None:
        membership = membership_map(prepared, priors.membership_precision, k)
    term = StaticTerm(k, len(prepared.concomitant_names))
    concentration = np.full(k, priors.concentration)
    return StaticCoordinates(term, prepared.replicated, concentration, membership)


def _with_last(free: FloatArray) -> FloatArray:
    """All K logarithms, of which the last is minus the others' sum."""
    return np.concatenate([free, -free.sum(axis=-1, keepdims=True)], axis=-1)


def log_constant(concentrations: FloatArray) -> float:
    """What the Dirichlet's log density has on the transform's scale that no weight changes."""
    # The transform's Jacobian has the number of classes.
    constant = gammaln(concentrations.sum()) - gammaln(concentrations).sum()
    return float(constant + np.log(concentrations.size))
