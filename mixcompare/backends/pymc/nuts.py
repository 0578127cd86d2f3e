"""The No-U-Turn samplers: nutpie's, PyMC's own, and those on JAX."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of, template
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.starts import Start
from mixcompare.backends.pymc.structure import Structure
from mixcompare.panel import FloatArray


@cache
def _compiled(structure: Structure) -> Any:
    """The program of nutpie for every model of a structure; it is given the data later."""
    import nutpie

    # Only the free variables: expanding covariances would compile for a minute.
    names = list(structure.shapes)
    return nutpie.compile_pymc_model(template(structure), var_names=names, freeze_model=False)


def nutpie_nuts(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """Sample with nutpie, which is compiled once for a structure."""
    import nutpie

    program = _compiled(mixture.structure)
    inputs = mixture.inputs()
    read = {variable.name for variable in program.shared_var_keys}
    compiled = replace(
        program.with_data(**{name: inputs[name] for name in inputs if name in read}),
        initial_point_func=lambda chain_seed: _flat(start, np.random.default_rng(chain_seed)),
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
            return sampler.wait()
        except KeyboardInterrupt:
            # nutpie itself would return the draws so far as if they were all.
            sampler.cancel()
            raise


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
