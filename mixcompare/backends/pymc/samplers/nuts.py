"""The No-U-Turn samplers: nutpie's, PyMC's own, and those on JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.starts import Sampled, Start
from mixcompare.base.arrays import FloatArray


def nutpie_nuts(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Sampled:
    """Sample with nutpie: the compiled density where it serves, else PyMC's graph."""
    import nutpie

    from mixcompare.backends.pymc.density import nutpie_program

    root = int(seed.generate_state(1)[0])
    places = {of: i for i, of in enumerate(nutpie_program.chain_seeds(root, options.chains))}

    def first(chain_seed: int) -> FloatArray:
        # nutpie asks again, with another seed, where the density cannot be computed.
        place = places.get(chain_seed, chain_seed % options.chains)
        point = start(np.random.default_rng(chain_seed), place)
        return np.concatenate([value.ravel() for value in point.values()])

    # Chains are threads, so BLAS must not start its own.
    with threadpool_limits(1):
        sampler = nutpie.sample(
            nutpie_program.program(mixture, first),
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores,
            seed=root,
            target_accept=options.target_accept,
            progress_bar=progress,
            save_warmup=False,
            blocking=False,
        )
        try:
            tree = sampler.wait()
        except KeyboardInterrupt:
            # nutpie itself would return the draws so far as if they were all.
            sampler.cancel()
            raise
    draws, stats = read(tree)
    if nutpie_program.POINT in draws:
        points = np.asarray(draws[nutpie_program.POINT])
        draws = mixture.constrained(mixture.split(points))
    return draws, stats


def pymc_nuts(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Sampled:
    """PyMC's own sampler, or NumPyro's or BlackJAX's through PyMC."""
    import pymc as pm

    model = model_of(mixture)
    names = {name: model.rvs_to_values[model[name]].name for name in mixture.shapes}
    kernel_options: dict[str, Any] = {"target_accept": options.target_accept, "init": "adapt_diag"}
    if options.sampler != "pymc":
        kernel = {"target_accept": options.target_accept, "jitter": False}
        kernel_options = {"nuts": {**kernel, "chain_method": "vectorized"}}
    tree = pm.sample(
        model=model,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=options.cores or 1,
        random_seed=int(seed.generate_state(1)[0]),
        initvals=[
            {names[name]: v for name, v in start(np.random.default_rng(child), i).items()}
            for i, child in enumerate(seed.spawn(options.chains))
        ],
        nuts_sampler=options.sampler,
        var_names=list(mixture.shapes),
        progressbar=progress,
        quiet=not progress,
        compute_convergence_checks=False,
        **kernel_options,
    )
    return read(tree)


def read(tree: Any) -> Sampled:
    """Draws and statistics of a tree such as PyMC's."""
    stats = tree["sample_stats"].data_vars if "sample_stats" in tree.children else {}
    return tree["posterior"].data_vars, stats
