"""The No-U-Turn samplers: nutpie's, PyMC's own, and those on JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.starts import Start
from mixcompare.backends.pymc.transforms import free_dataset
from mixcompare.base.arrays import FloatArray


def nutpie_nuts(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """Sample the hand-written density with nutpie."""
    import nutpie

    from mixcompare.backends.pymc.density import pack
    from mixcompare.backends.pymc.nutpie_program import POINT, program

    compiled = program(
        pack(mixture),
        mixture.structure.n_free,
        lambda chain_seed: _flat(start, np.random.default_rng(chain_seed)),
    )
    # Chains are threads, so BLAS must not start its own.
    with threadpool_limits(1):
        sampler = nutpie.sample(
            compiled,
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores,
            seed=int(seed.generate_state(1)[0]),
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
    points = tree["posterior"][POINT].to_numpy()
    posterior = free_dataset(points, mixture.structure.free_shapes)
    return xr.DataTree.from_dict(
        {"posterior": posterior, "sample_stats": tree["sample_stats"].to_dataset()}
    )


def _flat(start: Start, rng: np.random.Generator) -> FloatArray:
    return np.concatenate([value.ravel() for value in start(rng).values()])


def pymc_nuts(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """PyMC's own sampler, or NumPyro's or BlackJAX's through PyMC."""
    import pymc as pm

    model = model_of(mixture.structure, mixture.inputs())
    own: dict[str, Any] = {"target_accept": options.target_accept, "init": "adapt_diag"}
    if options.sampler != "pymc":
        kernel = {"target_accept": options.target_accept, "jitter": False}
        own = {"nuts": {**kernel, "chain_method": "vectorized"}}
    return pm.sample(
        model=model,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=options.cores or 1,
        random_seed=int(seed.generate_state(1)[0]),
        initvals=[
            named_values(model, start(np.random.default_rng(child)))
            for child in seed.spawn(options.chains)
        ],
        nuts_sampler=options.sampler,
        var_names=list(mixture.structure.shapes),
        progressbar=progress,
        quiet=not progress,
        compute_convergence_checks=False,
        **own,
    )


def named_values(model: Any, values: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Unconstrained values under the names of the model's value variables."""
    return {model.rvs_to_values[model[name]].name: value for name, value in values.items()}
