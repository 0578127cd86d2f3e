"""Whether a posterior's criteria may be ranked, and one more try before it is given up.

Draws of a posterior that miss a mode can agree with one another. What they cannot do is to lie
as high as that mode, see `mixcompare.fits.heights`: where the posterior density at EM's maximum is
well above that of the highest draw, none of them has been there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mixcompare.backends import build_options, fit
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit
from mixcompare.fits.heights import SHARE, allowance
from mixcompare.fits.summary import convergence
from mixcompare.model.spec import MixtureSpec

_MORE: Final = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """What a posterior's draws are worth.

    Attributes
    ----------
    status
        The fit's.
    restarts
        How often it was sampled again.
    unranked
        Why its criteria are not ranked; empty if they are.
    """

    status: str
    restarts: int
    unranked: str


def settle(
    spec: MixtureSpec,
    panel: Panel,
    em: Fit | None,
    seed: np.random.SeedSequence,
    sampling: Mapping[str, Any],
) -> tuple[Fit, Standing]:
    """Sample a posterior, and once more with another seed where it cannot be ranked.

    If the chains sit in one mode, which they only know too little of, they are given twice the
    draws and adaptation steps; so is sequential Monte Carlo, whose particles are too few.

    Parameters
    ----------
    em
        The maximum of the likelihood that draws should come near, None if there is none.
    sampling
        Options of the PyMC backend.
    """
    first = fit(spec, panel, backend="pymc", seed=_root(seed), **sampling)
    reason = unranked(first, em)
    if not reason or len(first.log_likelihood_by_draw) == 1:  # one chain never shows convergence
        return first, Standing(first.status, 0, reason)
    more = _more(first, sampling)
    again = fit(spec, panel, backend="pymc", seed=_root(seed.spawn(1)[0]), **{**sampling, **more})
    reason_again = unranked(again, em)
    if not reason_again:
        return again, Standing(again.status, 1, "")
    best, reason = max(
        ((first, reason), (again, reason_again)), key=lambda tried: tried[0].log_likelihood
    )
    with_more = " and twice the draws" if more else ""
    said = f"{reason} So it was, too, with another seed{with_more}."
    return best, Standing(best.status, 1, said)


def unranked(posterior: Fit, em: Fit | None) -> str:
    """Why a posterior's criteria cannot be ranked, in a sentence; empty if they can."""
    if posterior.status != "converged":
        return posterior.message
    below = 0.0 if em is None else depth(posterior, em)
    dimensions = posterior.n_parameters
    limit = allowance(dimensions, effective_draws(posterior.log_likelihood_by_draw), share=SHARE)
    if not below > limit:
        return ""
    return (
        f"The highest draw has a log posterior density {below:.1f} below that at EM's maximum, "
        f"and with {dimensions} dimensions {limit:.1f} is allowed for: the chains agree on a part "
        "of the posterior that lacks a higher mode."
    )


def depth(posterior: Fit, em: Fit) -> float:
    """How far the log posterior density of the highest draw is below that at EM's maximum.

    In the sampler's coordinates without bounds. Minus infinity where the prior excludes EM's
    maximum, such as one with an empty class.
    """
    # The PyMC backend is slow to import.
    from mixcompare.backends.pymc.posterior_density import posterior_density

    density, layout = posterior_density(posterior.problem), posterior.layout
    flat = {n: v.reshape(-1, *v.shape[2:]) for n, v in posterior.draws.parameters.items()}
    top = {name: values[None] for name, values in layout.take(em.estimate).items()}
    by_draw = density.log_prior(layout.take(flat)) + posterior.log_likelihood_by_draw.ravel()
    try:
        with np.errstate(all="ignore"):
            at_top = float(density.log_prior(top)[0]) + em.log_likelihood
    except np.linalg.LinAlgError:
        return -np.inf
    return at_top - float(by_draw.max()) if np.isfinite(at_top) else -np.inf


def effective_draws(log_likelihood: FloatArray) -> float:
    """Of a posterior's log-likelihoods (C, S), at most their number."""
    return float(
        min(
            log_likelihood.size, convergence(log_likelihood[..., None], ["ess_bulk"])["ess_bulk"][0]
        )
    )


def _more(first: Fit, sampling: Mapping[str, Any]) -> dict[str, int]:
    """Options of a longer run where a longer one would do."""
    # The PyMC backend is slow to import.
    from mixcompare.backends.pymc.diagnosis import occupancy

    options = build_options("pymc", sampling)
    if options.sampler == "smc":
        return {"draws": _MORE * options.draws}
    apart = len(occupancy(first.log_likelihood_by_draw)) > 1 or first.status == "converged"
    return {} if apart else {name: _MORE * getattr(options, name) for name in ("draws", "tune")}


def _root(seed: np.random.SeedSequence) -> int:
    return int(seed.generate_state(1)[0])
