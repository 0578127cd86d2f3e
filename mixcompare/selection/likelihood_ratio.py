"""Bootstrap likelihood-ratio tests of K against K + 1 classes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.choice import Chooser
from mixcompare.backends.em.kernels.compiled_mixture import with_kernels
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.search import search
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import MachineError
from mixcompare.base.workers import check_start, ready, start_processes
from mixcompare.fits.fit import Fit
from mixcompare.model.capabilities import require
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem
from mixcompare.selection.candidates import Candidate, split
from mixcompare.simulate.outcomes import simulate

# Of each worker, so that none waits long for the last.
_SHARES: Final = 4
# Statistics need not be as exact as estimates, and under the null the larger model is flat, so
# that every start to its end would take most of the time.
_OWN: Final[dict[str, Any]] = {
    "progress": False,
    "tolerance": 1e-9,
    "max_iterations": 2000,
    "short_runs": 30,
    "continued": 3,
}


def bootstrap_tests(
    candidates: Sequence[Candidate], replicates: int, starts: int, seed: int, workers: int = 1
) -> pd.DataFrame:
    """Test each number of classes against the next one that was fitted.

    The usual chi-squared limit does not hold, since a class more lies on the boundary. So the
    statistic ``2 (l_1 - l_0)`` is compared with its distribution in data simulated from the
    smaller fit, to which both models are fitted (McLachlan 1987). The smaller one starts
    from the truth, the larger from random starts and from the smaller one's classes, one of
    them split: too few starts make its statistics too small and the test too eager.

    Parameters
    ----------
    replicates
        Simulated data sets for each test.
    starts
        Random starts of the larger model in each; all are run for 30 iterations and the best
        three to their end. Spurious maxima count if they do in its fit.
    workers
        Processes that share the replicates; their results do not depend on it.

    Returns
    -------
    A row for each pair: null and alternative (numbers of classes), statistic, p_value, its
    Monte Carlo standard error, critical (the 95 % quantile under the null), replicates that
    could be fitted, and failures. The p-value is ``(1 + #{T* >= T}) / (1 + B)`` (Davison &
    Hinkley 1997).

    Raises
    ------
    OptionError
        If units have replication weights: a unit that stands for several cannot be
        simulated as one.
    """
    rows = []
    for null, alternative in pairwise(c for c in candidates if c.fit is not None):
        assert null.fit is not None
        assert alternative.fit is not None
        require(null.fit.spec, "a bootstrap likelihood-ratio test")
        statistic = 2 * (alternative.fit.log_likelihood - null.fit.log_likelihood)
        spurious = alternative.fit.options.get("spurious", "avoid")
        options = Options(starts=starts, spurious=spurious, **_OWN)
        larger = alternative.fit.spec
        simulated = _distribution(null.fit, larger, replicates, options, seed, workers)
        rows.append(
            {
                "null": null.n_components,
                "alternative": alternative.n_components,
                "statistic": statistic,
                **_p_value(statistic, simulated[np.isfinite(simulated)]),
                "failures": int((~np.isfinite(simulated)).sum()),
            }
        )
    return pd.DataFrame(rows)


def _p_value(statistic: float, simulated: FloatArray) -> dict[str, float]:
    count = len(simulated)
    p = float((1 + (simulated >= statistic).sum()) / (1 + count))
    return {
        "p_value": p,
        "p_value_se": float(np.sqrt(p * (1 - p) / max(count, 1))),
        "critical": float(np.quantile(simulated, 0.95)) if count else np.nan,
        "replicates": count,
    }


def _distribution(
    null: Fit, larger: MixtureSpec, replicates: int, options: Options, seed: int, workers: int
) -> FloatArray:
    """(B,) statistics under the null; NaN where a model could not be fitted."""
    root = np.random.SeedSequence(seed, spawn_key=(null.spec.n_components,))
    total = replicates * options.first_starts
    run = partial(_replicates, null, larger, options, total)
    seeds = root.spawn(replicates)
    if workers == 1:
        return np.array(run(seeds))
    size = -(-replicates // (_SHARES * workers))
    shares = [seeds[i : i + size] for i in range(0, replicates, size)]
    # More workers than shares would only be started.
    with start_processes(min(workers, len(shares))) as pool:
        check_start(lambda: pool.submit(ready).result(), (BrokenExecutor,))
        try:
            return np.array([statistic for share in pool.map(run, shares) for statistic in share])
        except BrokenExecutor as error:
            raise MachineError(
                "a worker process of the bootstrap likelihood-ratio test has died, as happens "
                "where the system ends it for want of memory. Ask for fewer workers."
            ) from error


def _replicates(
    null: Fit,
    larger: MixtureSpec,
    options: Options,
    total: int,
    seeds: Sequence[np.random.SeedSequence],
) -> list[float]:
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        return [_replicate(null, larger, options, total, seed) for seed in seeds]


def _replicate(
    null: Fit, larger: MixtureSpec, options: Options, total: int, seed: np.random.SeedSequence
) -> float:
    simulating, searching, splitting = seed.spawn(3)
    truth = null.estimate
    drawn, _ = simulate(null.spec, null.panel, truth, np.random.default_rng(simulating))
    prepared = Problem.of(larger, drawn).prepared
    model = with_kernels(mixture_of(larger, prepared), "auto", total)
    smaller_model = model.with_components(null.spec.n_components)
    from_truth = replace(options, starts=0, initial=truth)
    smaller = search(smaller_model, from_truth, searching)[0].run
    if not smaller.usable or smaller.e_step is None:
        return np.nan
    parted = split(smaller.e_step.occupancy, larger.n_components, splitting)
    options = replace(options, initial=parted)
    started = search(model, options, searching)
    choice = Chooser(model, options).choose(started)
    if choice is None:
        return np.nan
    height = started[choice.best].run.log_likelihood[-1]
    return float(max(0.0, 2 * (height - smaller.log_likelihood[-1])))
