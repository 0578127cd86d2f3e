"""Fits, comparisons and studies whose numbers a restructuring may not change.

Only what the README documents is called, so that the cases run on the package before and after.
"""

from __future__ import annotations

import importlib
import itertools
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

import mixcompare as mc
from tests.benchmarks.number_leaves import leaves

type Cases = dict[str, Callable[[], Any]]

ROOT = Path(__file__).parents[2]
STRUCTURES = tuple(itertools.product(("full", "diagonal", "spherical"), ("component", "shared")))
CHAINS: dict[str, Any] = {"draws": 150, "tune": 150, "chains": 2, "progress": False}
EM: dict[str, Any] = {"starts": 6, "seed": 1, "progress": False}
MODELS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "absorb": {"absorb": "unit:cell"},
    "common": {"common": "~ x2"},
    "membership": {"membership": "~ income"},
    "weights": {"unit_weights": "count"},
    "shared": {"covariance_by": "shared"},
    "one_class": {"n_components": 1},
    "all_at_once": {
        "common": "~ x2",
        "membership": "~ income",
        "unit_weights": "count",
        "absorb": "unit:cell",
    },
    "priors": {
        "priors": mc.Priors(
            concentration=3.0,
            coefficient_mean=0.0,
            coefficient_sd={"x1": 2.0, "x2": 0.5, "Intercept": 9.0},
            covariance_df=10.0,
            covariance_scale=8.0,
        )
    },
}


def documented(name: str, *modules: str) -> Any:
    """A function that lay in one of these modules of the package, before or after a move.

    Raises
    ------
    ImportError
        If none has it.
    """
    for module in modules:
        try:
            return getattr(importlib.import_module(f"mixcompare.{module}"), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"no {name} in {', '.join(modules)}")


@cache
def bundled(name: str) -> pd.DataFrame:
    table: pd.DataFrame = documented("load", "datasets", "data.datasets")(name)
    return table


@cache
def panel(m: int = 1, units: int = 40, seed: int = 0) -> pd.DataFrame:
    """Unbalanced units of two classes, two cells in each, m outcomes."""
    rng = np.random.default_rng([seed, m])
    unit = np.repeat(np.arange(units), rng.integers(3, 10, size=units))
    classes = rng.choice(2, p=[0.6, 0.4], size=units)
    x = rng.normal(size=(unit.size, 2)) * [1.0, 20.0] + [0.0, 300.0]
    slopes = rng.normal(size=(2, 2, m)) / [[1.0], [20.0]]
    y = np.einsum("ni,nij->nj", x - [0.0, 300.0], slopes[classes[unit]])
    y += 3 * classes[unit, None] + rng.normal(size=y.shape) * (1 + classes[unit, None])
    return pd.DataFrame(
        {
            "unit": unit,
            "cell": rng.integers(2, size=unit.size),
            "x1": x[:, 0],
            "x2": x[:, 1],
            **{f"y{j + 1}": y[:, j] for j in range(m)},
            "income": (40 + 10 * (rng.normal(size=units) + classes))[unit],
            "count": rng.choice([0.5, 1.0, 2.0, 3.0], size=units)[unit],
            "kind": rng.choice(["a", "b", "c"], size=unit.size),
        }
    )


@cache
def reference(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "tests" / "reference" / f"{name}.csv")


def spec(m: int = 1, **more: Any) -> mc.MixtureSpec:
    outcomes = " + ".join(f"y{j + 1}" for j in range(m))
    return mc.MixtureSpec(f"{outcomes} ~ x1 + x2", **{"unit": "unit", "n_components": 2, **more})


def em_fit(model: mc.MixtureSpec, table: Any, **options: Any) -> Callable[[], mc.Fit]:
    return partial(mc.fit, model, table, **{**EM, **options})


def pymc_fit(model: mc.MixtureSpec, table: Any, **options: Any) -> Callable[[], mc.Fit]:
    return partial(mc.fit, model, table, **{"backend": "pymc", "seed": 1, **CHAINS, **options})


def then(
    function: Callable[..., Any], *fits: Callable[[], mc.Fit], new: Any = None, **options: Any
) -> Callable[[], Any]:
    """What a function makes of fits, and of new rows, that are not made before they are asked."""

    def made() -> Any:
        rows = () if new is None else (new,)
        return function(*(fit() for fit in fits), *rows, **options)

    return made


def em_models() -> Cases:
    """Every structure of the model, by maximum likelihood and as posterior mode."""
    cases: Cases = {}
    for estimator in ("ml", "map"):
        for covariance, by in STRUCTURES:
            model = spec(2, covariance=covariance, covariance_by=by)
            cases[f"{estimator}-{covariance}-{by}"] = em_fit(model, panel(2), estimator=estimator)
        for name, more in MODELS.items():
            for m in (1, 2):
                model = spec(m, **more)
                cases[f"{estimator}-{name}-{m}"] = em_fit(model, panel(m), estimator=estimator)
    two, three = (partial(mc.MixtureSpec, n_components=k) for k in (2, 3))
    cases |= {
        "categories": em_fit(two("y1 ~ x1 + C(kind) + bs(x2, df=4)", unit="unit"), panel()),
        "regression_of_rows": em_fit(two("yn ~ x + I(x**2)"), reference("npreg")),
        "tones": em_fit(two("tuned ~ stretchratio"), reference("tonedata")),
        "carbon_dioxide": em_fit(two("CO2 ~ GNP"), reference("co2data")),
        "faithful": em_fit(three("eruptions + waiting ~ 1"), reference("faithful")),
        "iris": em_fit(three("sl + sw + pl + pw ~ 1"), reference("iris")),
        "galaxies": em_fit(
            mc.MixtureSpec("velocity ~ 1", n_components=4), reference("galaxies"), starts=None
        ),
        "concomitant": em_fit(
            two("y ~ x1 + x2", unit="unit", membership="~ income"), reference("concomitant")
        ),
        "production": em_fit(
            two("lgsp ~ lpcap + lpc + lemp + unemp", unit="unit", absorb="unit"),
            reference("produc"),
            starts=20,
        ),
        "gapminder": em_fit(
            three("lifeExp ~ t + I(t**2)", unit="country"), bundled("gapminder"), starts=20
        ),
        "billboard": em_fit(
            mc.MixtureSpec("rank ~ t + I(t**2)", unit="song", n_components=4),
            bundled("billboard"),
        ),
        "missing_drop": em_fit(
            two("y ~ x1 + x2", unit="unit"), reference("sim_missing"), missing="drop"
        ),
        "missing_error": em_fit(two("y ~ x1 + x2", unit="unit"), reference("sim_missing")),
    }
    for name in ("base", "offset_1e8", "scale_1e8", "shuffled_strings"):
        cases[name] = em_fit(two("y ~ x1 + x2", unit="unit"), reference(f"sim_{name}"))
    cases["one_row_units"] = em_fit(two("y ~ x1", unit="unit"), reference("sim_onerow_units"))
    return cases


def em_options() -> Cases:
    """Every way to run EM, on one panel."""
    model, table = spec(2, n_components=3), panel(2)
    start = mc.fit(model, table, **EM)
    mapping = {name: getattr(start, name) for name in ("weights", "coefficients", "covariance")}
    tau = start.responsibilities.to_numpy()
    changes: dict[str, dict[str, Any]] = {
        **{f"kind-{k}": {"kinds": k} for k in ("kmeans", "random", "elemental", "perturbed")},
        **{
            f"criterion-{c}-{a}": {"criterion": c, "acceleration": a}
            for c in ("aitken", "log_likelihood", "q", "parameters")
            for a in ("squarem", "none")
        },
        "loose": {"criterion": "q", "tolerance": 1e-5},
        "few_iterations": {"max_iterations": 7},
        "short_runs": {"starts": 12, "short_runs": 5, "continued": 3},
        "sandwich": {"standard_errors": "sandwich"},
        "no_errors": {"standard_errors": "none"},
        "full_history": {"history": "full"},
        "compiled": {"kernels": "numba"},
        "numpy": {"kernels": "numpy"},
        "map_compiled": {"kernels": "numba", "estimator": "map"},
        "from_fit": {"starts": 0, "initial": start},
        "from_mapping": {"starts": 2, "initial": mapping},
        "from_responsibilities": {"starts": 0, "initial": tau, "acceleration": "none"},
        "from_classes": {"starts": 0, "initial": tau.argmax(axis=1)},
        "search": {"starts": None},
    }
    cases: Cases = {name: em_fit(model, table, **more) for name, more in changes.items()}
    for name, more in MODELS.items():
        for options in ({"kernels": "numba"}, {"standard_errors": "sandwich"}):
            [value] = options.values()
            cases[f"{name}-{value}"] = em_fit(spec(**more), panel(), history="full", **options)
    return cases


def em_statuses() -> Cases:
    """Fits that do not end at an interior maximum."""
    rng = np.random.default_rng(3)
    clumped = pd.DataFrame({"y": np.r_[rng.normal(size=110), 2 + rng.normal(size=60)]})
    order = np.argsort(clumped["y"].to_numpy())
    first = int((clumped["y"].to_numpy()[order][4:] - clumped["y"].to_numpy()[order][:-4]).argmin())
    narrow = np.zeros(len(clumped), dtype=int)
    narrow[order[first : first + 5]] = 1
    group = np.repeat([0.0, 1.0], [40, 20])
    unit = np.repeat(np.arange(60), 6)
    apart = pd.DataFrame(
        {
            "id": unit,
            "x": group[unit],
            "y": 10.0 * (unit < 12) + np.random.default_rng(1).normal(size=unit.size),
        }
    )
    x = np.concatenate([rng.normal(0, 1, 60), rng.normal(9, 1, 60)])
    x = np.concatenate([x, 9 - x])
    same = pd.DataFrame({"y": rng.normal(size=50)})
    answers = np.clip(
        np.rint(3 + rng.normal(size=(150, 1)) + 0.7 * rng.normal(size=(150, 4))), 1, 5
    )
    two = partial(mc.MixtureSpec, n_components=2)
    separated = two("y ~ 1", unit="id", membership="~ x")
    line = [1.0, 3.0] + rng.normal(size=(30, 1)) * [1.0, 2.0]
    others = rng.normal([4.0, -4.0], 1.0, size=(70, 2))
    on_line = pd.DataFrame(np.concatenate([line, others]), columns=["a", "b"])
    return {
        "spurious_kept": em_fit(two("y ~ 1"), clumped, initial=narrow, spurious="keep"),
        "spurious_avoided": em_fit(two("y ~ 1"), clumped, initial=narrow),
        "spurious_alone": em_fit(two("y ~ 1"), clumped, initial=narrow, starts=0),
        "separated": em_fit(separated, apart),
        "separated_sandwich": em_fit(separated, apart, standard_errors="sandwich"),
        "separated_map": em_fit(separated, apart, estimator="map"),
        "saddle_left": em_fit(two("y ~ 1"), {"y": x}, starts=0, initial=np.full((240, 2), 0.5)),
        "saddle_of_panel": em_fit(spec(), panel(), starts=0, initial=np.full((40, 2), 0.5)),
        "saddle_stays": em_fit(two("y ~ 1"), same, starts=0, initial=np.full((50, 2), 0.5)),
        "degenerate_starts": em_fit(
            mc.MixtureSpec("a + b + c + d ~ 1", n_components=3),
            pd.DataFrame(answers, columns=list("abcd")),
            starts=12,
        ),
        "degenerate": em_fit(
            two("a + b ~ 1"), on_line, starts=0, initial=np.repeat([0, 1], [30, 70])
        ),
        "collinear": em_fit(two("a + b ~ 1"), on_line[:30], starts=4),
        "saddle": em_fit(
            two("y ~ 1"),
            {"y": np.repeat([0.0, 9999.0], 50)},
            starts=0,
            initial=np.full((100, 2), 0.5),
        ),
        "not_converged": em_fit(spec(n_components=3), panel(), max_iterations=2),
    }


def em_after() -> Cases:
    """What is computed from an EM fit."""
    cases: Cases = {}
    for name in ("plain", "absorb", "common", "membership", "weights", "all_at_once"):
        model = spec(2, **MODELS[name])
        fit, new = mc.fit(model, panel(2), **EM), panel(2, seed=5)
        cases |= {
            f"bootstrap-{name}": partial(mc.bootstrap, fit, replicates=15, seed=2),
            f"bootstrap-parametric-{name}": partial(
                mc.bootstrap, fit, replicates=10, kind="parametric", seed=2
            ),
            f"delta-{name}": partial(
                mc.delta_method,
                fit,
                lambda p: p["coefficients"][0, :2, 0] / p["coefficients"][1, :2, 0],
            ),
            f"predict-{name}": partial(mc.predict, fit, new),
            f"predict-prior-{name}": partial(mc.predict, fit, new, classes="prior"),
            f"predict-fitted-{name}": partial(mc.predict, fit),
            f"predict-known-{name}": partial(mc.predict, fit, panel(2), units="known"),
            f"predict-table-{name}": partial(_predicted_table, fit, new),
            f"drawn-{name}": partial(mc.predictive_draws, fit, new, seed=3, draws=20),
            f"priors-{name}": partial(mc.describe_priors, model, panel(2)),
            f"saved-{name}": partial(_saved, fit),
            f"build-{name}": partial(mc.build_panel, model, panel(2)),
        }
    return cases


def _predicted_table(fit: mc.Fit, new: pd.DataFrame) -> pd.DataFrame:
    return mc.prediction_table(mc.predict(fit, new))


def _saved(fit: mc.Fit) -> mc.Fit:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.nc"
        fit.save(path)
        return mc.load(path)


@cache
def posterior(model: str = "plain", m: int = 1) -> mc.Fit:
    """A short posterior that several groups use."""
    return pymc_fit(spec(m, **MODELS[model]), panel(m))()


def pymc() -> Cases:
    """Posteriors, by every sampler that needs no extra package."""
    cases: Cases = {}
    for covariance, by in STRUCTURES:
        model = spec(2, covariance=covariance, covariance_by=by)
        cases[f"nutpie-{covariance}-{by}"] = pymc_fit(model, panel(2))
    for name in MODELS:
        cases[f"nutpie-{name}"] = partial(posterior, name)
    rows = mc.MixtureSpec("eruptions + waiting ~ 1", n_components=2)
    start = mc.fit(spec(), panel(), **EM)
    cases |= {
        "rows": pymc_fit(rows, reference("faithful")),
        "from_prior": pymc_fit(spec(), panel(), init="prior"),
        "from_em": pymc_fit(spec(), panel(), init="em", initial=start),
        "ordered": pymc_fit(spec(), panel(), ordered_by="coefficients[x1]"),
        "ordered_weights": pymc_fit(spec(n_components=3), panel(), ordered_by="weights"),
        "advi": pymc_fit(spec(), panel(), sampler="advi"),
        "advi_membership": pymc_fit(spec(2, membership="~ income"), panel(2), sampler="advi"),
        "smc": pymc_fit(spec(), panel(), sampler="smc", draws=100),
        "smc_rows": pymc_fit(rows, reference("faithful"), sampler="smc", draws=100),
        "missing_drop": pymc_fit(
            mc.MixtureSpec("y ~ x1 + x2", unit="unit", n_components=2),
            reference("sim_missing"),
            missing="drop",
        ),
    }
    return cases


def pymc_sampler() -> Cases:
    """PyMC's No-U-Turn sampler, which compiles the graph anew for a quarter of a minute."""
    return {"plain": pymc_fit(spec(), panel(), draws=40, tune=40, sampler="pymc")}


def checks() -> Cases:
    """Checks of posteriors and priors, and predictions from posteriors."""
    cases: Cases = {}
    for name in ("plain", "membership", "weights", "absorb"):
        model, table = spec(**MODELS[name]), panel()
        fit = partial(posterior, name)
        cases |= {
            f"loo-{name}": then(mc.leave_one_out, fit),
            f"predictive-{name}": then(mc.posterior_predictive, fit, draws=50, seed=1),
            f"sensitivity-{name}": then(mc.prior_sensitivity, fit),
            f"predict-{name}": then(mc.predict, fit, new=panel(seed=5), draws=60),
            f"drawn-{name}": then(mc.predictive_draws, fit, new=panel(seed=5), seed=2, draws=20),
            f"prior-predictive-{name}": partial(
                mc.prior_predictive, model, table, draws=60, seed=3
            ),
            f"saved-{name}": then(_saved, fit),
        }
    few: dict[str, Any] = {"draws": 60, "tune": 60, "chains": 1, "progress": False}
    outlier = panel().copy()
    outlier.loc[outlier["unit"] == 3, "y1"] += 25.0
    cases |= {
        "loo-refit": then(
            mc.leave_one_out, pymc_fit(spec(n_components=1), outlier), refit=5, seed=1
        ),
        "calibrate": partial(
            mc.calibrate,
            spec(**MODELS["priors"]),
            panel(units=15),
            replicates=20,
            ranked=20,
            seed=1,
            **few,
        ),
        "relabel": _relabelled,
    }
    return cases


def _relabelled() -> dict[str, Any]:
    fit = mc.fit(spec(), panel(), **EM)
    nuts = posterior()
    tau = nuts.draws.occupancy
    flips = np.random.default_rng(0).integers(2, size=tau.shape[:2]).astype(bool)
    tau = np.where(flips[..., None, None], tau[..., ::-1], tau)
    relabel, kind = (documented(n, "labels", "labels.algorithms") for n in ("relabel", "Draws"))
    draws = kind(
        responsibilities=tau,
        pivot=tau[0, 0],
        reference=fit.responsibilities.to_numpy(),
        quantity=nuts.draws.parameters["coefficients"][..., 1, 0],
    )
    found: dict[str, Any] = relabel(draws)
    return found


def compare() -> Cases:
    """Comparisons with all their tables."""
    cases: Cases = {}
    for name in ("plain", "membership", "weights", "absorb", "common", "shared"):
        em = em_fit(spec(**MODELS[name]), panel())
        cases[name] = then(mc.compare, em, partial(posterior, name), climbs=10)
    model, table = spec(), panel()
    maximum = em_fit(model, table)
    long = pymc_fit(model, table, draws=500, tune=500, chains=4)
    rows = mc.MixtureSpec("sl + sw + pl + pw ~ 1", n_components=3)
    galaxies = mc.MixtureSpec("velocity ~ 1", n_components=3)
    cases |= {
        "converged": then(mc.compare, maximum, long, climbs=10),
        "several": then(
            mc.compare,
            maximum,
            em_fit(model, table, starts=1, criterion="q", tolerance=1e-4),
            em_fit(model, table, estimator="map"),
            posterior,
            pymc_fit(model, table, ordered_by="coefficients[x1]"),
            pymc_fit(model, table, sampler="advi"),
            climbs=8,
        ),
        "rows": then(
            mc.compare,
            em_fit(rows, reference("iris")),
            pymc_fit(rows, reference("iris")),
            climbs=6,
        ),
        "poor_maximum": then(
            mc.compare,
            em_fit(galaxies, reference("galaxies"), starts=1, max_iterations=3),
            pymc_fit(galaxies, reference("galaxies")),
            climbs=20,
            refit=3,
        ),
    }
    return cases


def select() -> Cases:
    """Numbers of classes."""
    asked = partial(mc.select, seed=1, starts=6, progress=False)
    galaxies = mc.MixtureSpec("velocity ~ 1", n_components=1, covariance_by="shared")
    return {
        "criteria": partial(asked, spec(2), panel(2), n_components=range(1, 5)),
        "tests": partial(
            asked,
            galaxies,
            reference("galaxies"),
            n_components=range(1, 4),
            replicates=9,
            replicate_starts=3,
        ),
        "posterior": partial(
            asked,
            spec(),
            panel(),
            n_components=range(1, 4),
            posterior=("loo", "bridge"),
            sampling=CHAINS,
        ),
        "evidence": partial(
            asked,
            galaxies,
            reference("galaxies"),
            n_components=range(1, 3),
            posterior=("loo", "bridge", "smc"),
            sampling={**CHAINS, "draws": 100},
        ),
        "spurious": partial(
            asked,
            mc.MixtureSpec("velocity ~ 1", n_components=1),
            reference("galaxies"),
            n_components=range(1, 6),
            spurious="keep",
        ),
    }


def _rows() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Units, design and outcome of `panel`."""
    table = panel()
    x = np.column_stack([np.ones(len(table)), table[["x1", "x2"]].to_numpy()])
    return table["unit"].to_numpy(), x, table["y1"].to_numpy()


def expectation(fault: str, parameters: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Class probabilities (G, 2) that an E-step with a fault gives."""
    unit, x, y = _rows()
    variance = parameters["covariance"]
    rest = y[:, None] - x @ parameters["coefficients"].T
    halved = 1.0 if fault == "determinant" else 0.5
    density = -0.5 * rest**2 / variance - halved * np.log(variance)
    joint = np.stack([np.bincount(unit, d) for d in density.T], axis=1)
    joint += 0.0 if fault == "no_weights" else np.log(parameters["weights"])
    return np.eye(2)[joint.argmax(axis=1)] if fault == "hard" else softmax(joint, axis=1)


def maximisation(fault: str, tau: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Parameters that an M-step with a fault gives."""
    unit, x, y = _rows()
    roots = np.sqrt(np.sqrt(tau) if fault == "root" else tau)[unit].T
    b = np.stack([np.linalg.lstsq(x * r[:, None], y * r, rcond=None)[0] for r in roots])
    mass = tau[unit].sum(axis=0) - (x.shape[1] if fault == "divisor" else 0)
    variance = (tau[unit] * (y[:, None] - x @ b.T) ** 2).sum(axis=0) / mass
    weights = (tau[unit] if fault == "weights_of_rows" else tau).mean(axis=0)
    return {"weights": weights, "coefficients": b, "covariance": variance}


def trace(fault: str, steps: int = 12) -> dict[str, NDArray[Any]]:
    """Iterates of a small EM with one fault."""
    tau = np.random.default_rng(4).dirichlet(np.ones(2), size=_rows()[0].max() + 1)
    kept = [maximisation(fault, tau)]
    for _ in range(steps):
        kept.append(maximisation(fault, expectation(fault, kept[-1])))
    return {name: np.stack([k[name] for k in kept]) for name in kept[0]}


def iteration(fault: str, state: Any) -> dict[str, NDArray[Any]]:
    """One step from a state with the axes of outcomes."""
    parameters = {
        "weights": state.weights,
        "coefficients": state.coefficients[..., 0],
        "covariance": state.covariance[..., 0, 0],
    }
    return maximisation(fault, expectation(fault, parameters))


def audit() -> Cases:
    """Audits of another program's iterates and iterations, right and wrong."""
    faults = ("none", "divisor", "determinant", "weights_of_rows", "no_weights", "hard", "root")
    audits: Cases = {f: partial(mc.audit, spec(), panel(), trace(f)) for f in faults}
    step = partial(iteration, "divisor")
    audits["iteration"] = partial(mc.audit, spec(), panel(), step, iterations=8, seed=1)
    audits["rounded"] = partial(
        mc.audit, spec(), panel(), {n: v.round(4) for n, v in trace("divisor").items()}
    )
    return audits


def reports() -> Cases:
    """Tables of reports, and what fitting anew from a page finds."""
    return {"comparison": _reported, "audit": _reported_audit, "selection": _saved_selection}


def written(result: Any, folder: str, **more: Any) -> Path:
    """Write a result's report; older versions have a method for it."""
    method = getattr(result, "report", None) or getattr(result, "save", None)
    write = method or partial(mc.write_report, result)
    return Path(write(folder, **more) or folder)


def _reported() -> dict[str, Any]:
    table = panel()
    fits = em_fit(spec(), table)(), posterior()
    other = em_fit(spec(covariance_by="shared"), table)(), posterior("shared")
    selection = mc.select(spec(), table, n_components=range(1, 4), seed=1, starts=6, replicates=5)
    with tempfile.TemporaryDirectory() as folder:
        compared = mc.compare(*fits, climbs=5)
        page = written(compared, folder, selection=selection, models=[*fits, *other])
        again = mc.reproduce(page, table, progress=False)
        found = {name: getattr(again, name) for name in ("numbers", "verdicts", "same_draws")}
        return {**found, **dict(leaves(Path(folder), "folder"))}


def _reported_audit() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        written(mc.audit(spec(), panel(), trace("hard")), folder)
        return dict(leaves(Path(folder), "folder"))


def _saved_selection() -> dict[str, Any]:
    found = mc.select(
        spec(), panel(), n_components=(1, 2), seed=1, posterior=("loo",), sampling=CHAINS, starts=4
    )
    with tempfile.TemporaryDirectory() as folder:
        written(found, folder)
        return dict(leaves(Path(folder), "folder"))


def studies() -> Cases:
    """Shipped studies that need no other package, quick: their fits and reported numbers."""
    return {
        name: partial(_study, name)
        for name in (
            "gapminder",
            "billboard",
            "textbook_mixture",
            "fixed_effects",
            "separation",
            "standard_errors",
        )
    }


def _study(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = mc.run_study(
            ROOT / "studies" / f"{name}.toml", folder, quick=True, workers=0, progress=False
        )
        told = {"verdicts": done.verdicts, "cautions": dict(done.cautions)}
        return {**told, **dict(leaves(Path(folder), "folder"))}


GROUPS: Mapping[str, Callable[[], Cases]] = {
    "em_models": em_models,
    "em_options": em_options,
    "em_statuses": em_statuses,
    "em_after": em_after,
    "pymc": pymc,
    "checks": checks,
    "compare": compare,
    "select": select,
    "audit": audit,
    "reports": reports,
    "studies": studies,
    "pymc_sampler": pymc_sampler,
}
