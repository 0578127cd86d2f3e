"""The PyMC backend against models as one would write them: python tests/benchmarks/bench_pymc.py.

A panel (500 units of 100 rows, 4 covariates, 3 classes) is sampled by nutpie from the
compressed model and from the naive one, which has every raw row in its graph, under the
same priors and from the same start, EM's fit: effective draws per second, of processor time,
since that is what a busy machine changes least, and with compilation. For a Gaussian mixture
(5,000 rows, 5 outcomes, 4 classes) the time of one gradient is compared with two forms of
``pm.Mixture``. What a machine's first fit costs shows with NUMBA_CACHE_DIR and PyTensor's
base_compiledir in new folders.
"""

# It prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import ctypes
import time
from typing import Any

import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from threadpoolctl import threadpool_limits

import mixcompare as mc
from mixcompare.backends.pymc import build_model
from mixcompare.backends.pymc.density import nutpie_program
from mixcompare.backends.pymc.density.packing import pack
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.sampling import sample
from mixcompare.backends.pymc.samplers.starts import overdispersed
from mixcompare.fits.summary import convergence
from mixcompare.prepared.problem import Problem


class Stopwatch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def panel_table(units: int = 500, rows: int = 100) -> pd.DataFrame:
    """Three classes of regressions with an intercept and three covariates."""
    rng = np.random.default_rng(7)
    unit = np.repeat(np.arange(units), rows)
    classes = rng.choice(3, p=[0.5, 0.3, 0.2], size=units)[unit]
    x = rng.normal(size=(unit.size, 3))
    b = np.array([[-1.0, 0.5, 0.0, 0.2], [0.0, -0.5, 0.3, 0.0], [1.0, 0.0, -0.3, 0.4]])[classes]
    noise = rng.normal(size=unit.size) * np.array([1.0, 1.5, 0.8])[classes]
    y = b[:, 0] + (b[:, 1:] * x).sum(axis=1) + noise
    return pd.DataFrame({"unit": unit, "y": y, **{f"x{j}": x[:, j] for j in range(3)}})


SPEC = mc.MixtureSpec("y ~ x0 + x1 + x2", unit="unit", n_components=3)


def report(name: str, draws: np.ndarray, compiled: Any, sampled: Any) -> None:
    """Effective draws of the coefficients (C, S, K, p), classes ordered by intercept."""
    order = np.argsort(draws[..., :1], axis=2)
    aligned = np.take_along_axis(draws, order, axis=2)
    measures = convergence(aligned.reshape(*draws.shape[:2], -1))
    ess = float(measures["ess_bulk"].min())
    together = compiled[1] + sampled[1]
    print(
        f"{name}: {draws.shape[0]} x {draws.shape[1]} draws, R-hat {measures['r_hat'].max():.3f}, "
        f"smallest bulk ESS {ess:.0f}; compiled in {compiled[1]:.1f} s (wall {compiled[0]:.1f}), "
        f"sampled in {sampled[1]:.1f} s (wall {sampled[0]:.1f}); ESS per second of processor time: "
        f"sampling {ess / sampled[1]:.1f}, with compilation {ess / together:.1f}",
        flush=True,
    )


def compressed(table: pd.DataFrame, options: Options) -> None:
    """The backend's own model, compiled and sampled."""
    mixture = build_mixture(Problem.of(SPEC, mc.build_panel(SPEC, table)))
    watch = Stopwatch()
    nutpie_program.compiled()
    pack(mixture)
    compiled = watch.read()
    watch = Stopwatch()
    draws = sample(mixture, options, overdispersed(mixture), np.random.SeedSequence(1))
    sampled = watch.read()
    merged = {n: v.reshape(-1, *v.shape[2:]) for n, v in draws.variables.items()}
    shape = draws.stats["diverging"].shape
    b = mixture.parameters(merged, shape[0] * shape[1])["coefficients"]
    report("compressed", b[..., 0].reshape(*shape, 3, 4), compiled, sampled)


def naive_model(table: pd.DataFrame) -> pm.Model:
    """Every row in the graph, coefficients and variances as they are."""
    panel = mc.build_panel(SPEC, table)
    priors = Problem.of(SPEC, panel).priors
    shape = panel.n_units, -1, 3
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.full(3, priors.concentration))
        b = pm.Normal("b", priors.coefficient_mean[:, 0], priors.coefficient_sd[:, 0], shape=(3, 4))
        half = priors.covariance_df / 2, priors.covariance_scale.item() / 2
        variance = pm.InverseGamma("variance", *half, shape=3)
        mean = pt.dot(panel.covariates, b.T)
        row = pm.logp(pm.Normal.dist(mean, pt.sqrt(variance)), panel.outcomes)
        unit = row.reshape(shape).sum(axis=1)
        pm.Potential("unit", pt.logsumexp(pt.log(weights) + unit, axis=-1).sum())
    return model


def naive(table: pd.DataFrame, options: Options) -> None:
    """The naive model by the same sampler."""
    em: mc.Fit = options.initial
    model = naive_model(table)
    start = {
        "weights": em.weights.to_numpy(),
        "b": em.coefficients.to_numpy()[..., 0],
        "variance": em.covariance.to_numpy()[:, 0, 0],
    }
    watch = Stopwatch()
    compiled_model = nutpie.compile_pymc_model(
        model, initial_points=start, jitter_rvs=set(), var_names=["b"]
    )
    compiled = watch.read()
    watch = Stopwatch()
    with threadpool_limits(1):
        tree = nutpie.sample(
            compiled_model,
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            target_accept=options.target_accept,
            seed=1,
            progress_bar=False,
        )
    report("naive", tree["posterior"]["b"].to_numpy(), compiled, watch.read())


def mixture_table(rows: int = 5000, outcomes: int = 5, classes: int = 4) -> pd.DataFrame:
    """Spherical clusters about random means."""
    rng = np.random.default_rng(3)
    mean = 4 * rng.normal(size=(classes, outcomes))
    y = mean[rng.integers(classes, size=rows)] + rng.normal(size=(rows, outcomes))
    return pd.DataFrame(y, columns=[f"y{j}" for j in range(outcomes)])


def listed_mixture(y: np.ndarray, classes: int) -> pm.Model:
    """``pm.Mixture`` of a list of multivariate normals."""
    m = y.shape[1]
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.full(classes, 2.0))
        parts = []
        for k in range(classes):
            mean = pm.Normal(f"mean_{k}", 0, 10, shape=m)
            sd = pm.HalfNormal.dist(2.0, shape=m)
            chol, _, _ = pm.LKJCholeskyCov(f"chol_{k}", n=m, eta=1.0, sd_dist=sd)
            parts.append(pm.MvNormal.dist(mu=mean, chol=chol))
        pm.Mixture("y", w=weights, comp_dists=parts, observed=y)
    return model


def batched_mixture(y: np.ndarray, classes: int) -> pm.Model:
    """``pm.Mixture`` of one batch of multivariate normals."""
    m = y.shape[1]
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.full(classes, 2.0))
        mean = pm.Normal("mean", 0, 10, shape=(classes, m))
        chols = []
        for k in range(classes):
            sd = pm.HalfNormal.dist(2.0, shape=m)
            chols.append(pm.LKJCholeskyCov(f"chol_{k}", n=m, eta=1.0, sd_dist=sd)[0])
        parts = pm.MvNormal.dist(mu=mean, chol=pt.stack(chols))
        pm.Mixture("y", w=weights, comp_dists=parts, observed=y)
    return model


def gradient(name: str, model: pm.Model, seconds: float = 10.0) -> float:
    """Processor seconds of one log-density with its gradient, the least of several batches."""
    function = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
    function.set_extra_values({})
    start = pm.blocking.DictToArrayBijection.map(model.initial_point(random_seed=1))
    at = start.data + np.random.default_rng(0).uniform(-0.3, 0.3, size=start.data.size)
    function._pytensor_function(at)
    spent: list[float] = []
    while sum(spent) < seconds:
        watch = Stopwatch()
        for _ in range(5):
            function._pytensor_function(at)
        spent.append(watch.read()[1])
    least = min(spent) / 5
    print(f"{name}: {1e6 * least:,.0f} microseconds", flush=True)
    return least


def own_gradient(mixture: Mixture, seconds: float = 10.0) -> float:
    """The same of the density that nutpie samples here."""
    block, function = pack(mixture), nutpie_program.compiled()[0].ctypes
    size = mixture.n_free
    arrays = np.random.default_rng(0).uniform(-0.3, 0.3, size=size), np.empty(size), np.empty(1)
    addresses = [a.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for a in arrays]
    spent: list[float] = []
    while sum(spent) < seconds:
        watch = Stopwatch()
        for _ in range(50):
            function(size, *addresses, block.ctypes.data)
        spent.append(watch.read()[1])
    least = min(spent) / 50
    print(f"own: {1e6 * least:,.0f} microseconds", flush=True)
    return least


def gradients() -> None:
    table = mixture_table()
    outcomes = " + ".join(table.columns)
    spec = mc.MixtureSpec(f"{outcomes} ~ 1", n_components=4)
    y = table.to_numpy()
    problem = Problem.of(spec, mc.build_panel(spec, table))
    with threadpool_limits(1):
        own = own_gradient(build_mixture(problem))
        gradient("own graph", build_model(problem))
        listed = gradient("pm.Mixture of a list", listed_mixture(y, 4))
        batched = gradient("pm.Mixture of a batch", batched_mixture(y, 4))
    print(f"list / own {listed / own:.1f}, batch / own {batched / own:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=["compressed", "naive", "gradients"])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    given = parser.parse_args()
    for part in given.parts:
        if part == "gradients":
            gradients()
            continue
        table = panel_table()
        options = Options(
            draws=given.draws,
            tune=given.draws,
            chains=given.chains,
            init="em",
            initial=mc.fit(SPEC, table, starts=5, seed=1),
            target_accept=0.8,
            progress=False,
        )
        {"compressed": compressed, "naive": naive}[part](table, options)


if __name__ == "__main__":
    main()
