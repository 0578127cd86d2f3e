"""A posterior fit without MCMC: normal draws around an EM estimate, in PyMC's format.

It lets the comparison be tested in seconds and with any fault on purpose: labels that
switch, chains in other modes, a prior that pulls, an EM that missed the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

import mixcompare as mc
from mixcompare import labels
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.pymc.options import Options
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.result import Draws, Result
from mixcompare.fits.tree import describe
from mixcompare.model.layout import Layout
from mixcompare.prepared.compress import compress
from tests.prior_density import log_prior_by_array


def stand_in(
    centres: Sequence[mc.Fit] | mc.Fit,
    *,
    draws: int = 400,
    chains: int = 4,
    switch_every: int | None = None,
    offset: FloatArray | None = None,
    spread: float = 1.0,
    autocorrelation: float = 0.0,
    seed: int = 0,
) -> mc.Fit:
    """A fit with backend "pymc" whose chains are normal around EM fits' estimates.

    Parameters
    ----------
    centres
        EM fits of one model; chain c is drawn around the c-th of them, in turn.
    switch_every
        Renumber the components at random after so many draws; None: a labelling per
        chain.
    offset
        (P,) by which the draws' centre is moved off EM's estimate.
    spread
        Factor of the standard errors.
    autocorrelation
        Of successive draws.
    """
    fits = [centres] if isinstance(centres, mc.Fit) else list(centres)
    spec, panel = fits[0].spec, fits[0].panel
    prepared = compress(panel)
    model = mixture_of(spec, prepared)
    rng = np.random.default_rng(seed)
    shape = (chains, draws)
    layout = fits[0].layout
    arrays = {n: np.empty((*shape, *own)) for n, own in layout.shapes.items()}
    responsibilities = np.empty((*shape, panel.n_units, spec.n_components))
    log_likelihood = np.empty((*shape, panel.n_units))
    # Products this small are slower in two BLAS threads than in one.
    with threadpool_limits(1):
        for c, d in np.ndindex(shape):
            if d == 0:
                fit = fits[c % len(fits)]
                path = _normal_path(fit, draws, offset, spread, autocorrelation, rng)
            if d == 0 or (switch_every and d % switch_every == 0):
                order = rng.permutation(spec.n_components)
            at = model.permute(model.theta(path[d]), order)
            scored = model.expect(model.from_raw(at))
            responsibilities[c, d] = scored.occupancy
            log_likelihood[c, d] = scored.weighted_log_likelihood
            for name in arrays:
                arrays[name][c, d] = at.blocks[name]
    pivot = responsibilities.reshape(-1, *responsibilities.shape[2:])[0]
    permutation = labels.align_draws(responsibilities, pivot)
    mean = labels.permute(arrays["weights"], permutation, axis=-1).mean((0, 1))
    permutation = labels.compose(permutation, labels.by_weight(mean))
    densities = log_prior_by_array(spec, prepared, arrays)
    sampled = Draws(arrays, responsibilities, densities, permutation, {})
    result = drawn_result(fits[0].layout, sampled, log_likelihood)
    assert result.draws is not None
    kept = responsibilities.astype(np.float32).astype(float)
    result = replace(result, draws=replace(result.draws, occupancy=kept))
    options = Options(draws=draws, chains=chains)
    said = describe(result, spec, panel, "pymc", seed, options, 1.5)
    return mc.Fit.of(result, said, spec.trust, panel, None)


def drawn_result(layout: Layout, draws: Draws, log_likelihood: FloatArray) -> Result:
    """What a sampler that had these draws would hand back."""
    total = log_likelihood.sum(axis=-1)
    aligned = layout.permute(draws.parameters, draws.permutation)
    occupancy = labels.permute(draws.occupancy, draws.permutation, axis=-1)
    statistics = {"diverging": np.zeros(total.shape, dtype=bool), "lp": total}
    return Result(
        "posterior",
        {name: values.mean((0, 1)) for name, values in aligned.items()},
        occupancy.mean((0, 1)),
        log_likelihood,
        "converged",
        "made for a test, not sampled",
        draws=replace(draws, statistics=statistics),
    )


def _normal_path(
    fit: mc.Fit,
    draws: int,
    offset: FloatArray | None,
    spread: float,
    autocorrelation: float,
    rng: np.random.Generator,
) -> list[dict[str, FloatArray]]:
    centre = fit.layout.flatten(fit.tree["estimate"].to_dataset())
    covariance = fit.tree["standard_errors"]["parameter_covariance"].to_numpy() * spread**2
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    noise = rng.normal(size=(draws, len(centre)))
    for d in range(1, draws):
        noise[d] = autocorrelation * noise[d - 1] + np.sqrt(1 - autocorrelation**2) * noise[d]
    vector = centre + noise @ root.T + (0.0 if offset is None else offset)
    return [_valid(fit.layout.unflatten(v), fit) for v in vector]


def _valid(arrays: dict[str, FloatArray], fit: mc.Fit) -> dict[str, FloatArray]:
    """The normal draw, or its nearest honest neighbour where it left the parameter space."""
    weights = np.clip(arrays["weights"], 1e-6, None)
    usable = np.linalg.eigvalsh(arrays["covariance"]).min() > 0
    covariance = arrays["covariance"] if usable else fit.covariance.to_numpy()
    return {**arrays, "weights": weights / weights.sum(), "covariance": covariance}
