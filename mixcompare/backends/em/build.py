"""From what was prepared to the mixture that EM climbs, in its coordinates."""

from __future__ import annotations

from mixcompare.backends.em.classes.static import StaticClasses
from mixcompare.backends.em.emissions import EMISSIONS
from mixcompare.backends.em.mixture import Mixture
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.resolved_priors import resolve_priors


def mixture_of(spec: MixtureSpec, prepared: Prepared, *, with_prior: bool = False) -> Mixture:
    """The mixture of a specification on what was prepared of its panel.

    The specification's priors enter for a mode of the posterior.
    """
    priors = resolve_priors(spec, prepared) if with_prior else None
    k, response = spec.n_components, spec.response
    emission = EMISSIONS[response.family].of(response, k, prepared, priors)
    return Mixture(StaticClasses.of(k, prepared, priors), (emission,))


def on_other_rows(model: Mixture, prepared: Prepared) -> Mixture:
    """The same model, without priors, on rows that were not fitted, in its coordinates."""
    classes = model.classes.on_other_units(prepared)
    return Mixture(classes, tuple(emission.on_other_rows(prepared) for emission in model.emissions))
