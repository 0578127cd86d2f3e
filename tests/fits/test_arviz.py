"""Every function of ArviZ 1.x that applies to a fit's tree takes it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import arviz as az
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import pyplot

import mixcompare as mc
from mixcompare.model.layout import COMPONENT
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
FEW: dict[str, Any] = {"var_names": ["weights"]}

# What a user may ask of a posterior, with arguments that make it fast or that it cannot lack.
PLAIN = (
    *("summary", "rhat", "ess", "mcse", "hdi", "eti", "mean", "median", "mode", "std", "var"),
    *("mad", "iqr", "qds", "kde", "histogram", "bfmi", "diagnose", "extract", "loo", "psense"),
    *("convert_to_dataset", "convert_to_datatree", "get_log_likelihood", "psense_summary"),
    *("plot_energy", "plot_parallel"),
)
OF_FEW = (
    *("plot_autocorr", "plot_dist", "plot_ess", "plot_ess_evolution", "plot_mcse", "plot_rank"),
    *("plot_rank_dist", "plot_trace", "plot_trace_dist", "plot_ridge", "plot_convergence_dist"),
    *("plot_dgof", "plot_dgof_dist", "plot_psense_dist", "plot_forest", "plot_pair"),
    *("plot_psense_quantities", "plot_prior_posterior"),
)
OF_PREDICTIONS = (
    *("plot_ppc_dist", "plot_ppc_tstat", "plot_ppc_interval", "plot_ppc_pit"),
    "plot_ppc_dist_pit",
)
CALLS: dict[str, dict[str, Any]] = {
    **{name: {} for name in (*PLAIN, *OF_PREDICTIONS)},
    **dict.fromkeys(OF_FEW, FEW),
    "rhat_nested": {"superchain_ids": [0, 0, 1, 1]},
    "thin": {"factor": 2},
    "ci_in_rope": {"rope": (-1, 1)},
    "loo_subsample": {"observations": 10, "seed": 1},
    "plot_pair_focus": {**FEW, "focus_var": "weights", "focus_var_coords": {COMPONENT: 2}},
    "metrics": {"var_name": "y"},
    "bayes_factor": {**FEW, "ref_vals": 0.5},
    "plot_bf": {**FEW, "ref_val": 0.5},
}
# Called in a test of their own: they take several fits, or what another function returns.
APART = {"compare", "plot_compare", "plot_khat", "loo_i", "kl_divergence", "wasserstein"}
APART |= {"weight_predictions", "combine_plots"}
REASONS = {
    "log-likelihoods are of units, and ArviZ wants one outcome for each": (
        *("loo_expectations", "loo_influence", "loo_metrics", "loo_pit", "loo_r2", "loo_score"),
        *("plot_loo_interval", "plot_loo_pava", "plot_loo_pit"),
    ),
    "needs a function that fits again or scores": (
        *("lfo_cv", "loo_approximate_posterior", "loo_kfold", "loo_moment_match", "reloo"),
        "update_subsample",
    ),
    "is of other data: counts, classes, censored times, a regression's line, calibration": (
        *("bayesian_r2", "kaplan_meier", "generate_survival_curves", "plot_ecdf_pit", "plot_lm"),
        *("plot_ppc_censored", "plot_ppc_pava", "plot_ppc_pava_residuals", "plot_ppc_rootogram"),
        "residual_r2",
    ),
    "takes arrays, not trees": ("ecdf", "hexbin", "histogram2d", "kde2d"),
    "makes, converts or draws what is no fit": (
        *("add_bands", "add_lines", "citations", "clear_data_home", "dataset_to_dataarray"),
        *("dataset_to_dataframe", "dict_to_dataset", "explode_dataset_dims", "from_cmdstanpy"),
        *("from_dict", "from_emcee", "from_netcdf", "from_numpyro", "from_numpyro_svi"),
        *("from_zarr", "generate_dims_coords", "get_data_home", "get_function"),
        *("get_unconstrained_samples", "list_datasets", "load_arviz_data", "make_attrs"),
        *("ndarray_to_dataarray", "references_to_dataset"),
        *("xarray_sel_iter", "xarray_to_ndarray", "xarray_var_iter"),
    ),
}


@pytest.fixture(scope="module")
def fit() -> mc.Fit:
    """A posterior with what `mixcompare.posterior_predictive` and its like attach."""
    rng = np.random.default_rng(3)
    z = np.arange(60) % 2
    unit = np.repeat(np.arange(60), 5)
    x = rng.normal(size=len(unit))
    y = 3.0 * z[unit] + x + rng.normal(size=len(unit))
    table = pd.DataFrame({"unit": unit, "x": x, "y": y})
    few: dict[str, Any] = {"draws": 250, "tune": 250, "chains": 4, "progress": False}
    drawn = mc.fit(SPEC, table, backend="pymc", seed=4, **few)
    drawn = mc.prior_predictive(SPEC, table, draws=50, seed=1).attach(drawn)
    return mc.posterior_predictive(drawn, draws=50, seed=1).attach(drawn)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Figures without a window, none of them kept."""
    with mpl.rc_context({"backend": "Agg"}):
        yield
        pyplot.close("all")


@pytest.mark.parametrize("name", CALLS)
def test_takes_a_fits_tree(fit: mc.Fit, name: str) -> None:
    assert getattr(az, name)(fit.tree, **CALLS[name]) is not None or name == "diagnose"


def test_functions_of_several_fits_and_of_results(fit: mc.Fit) -> None:
    tree = fit.tree
    loo = az.loo(tree)
    assert az.loo_i(0, tree).elpd == pytest.approx(float(loo.elpd_i[0]))
    az.plot_khat(loo)
    az.plot_compare(az.compare({"one": tree, "other": tree}))
    assert az.kl_divergence(tree, tree, num_samples=100) == pytest.approx(0.0, abs=1e-6)
    assert az.wasserstein(tree, tree, num_samples=100) < 1.0
    az.weight_predictions([tree, tree], weights=[0.5, 0.5])
    az.combine_plots(tree, [(az.plot_trace, {}), (az.plot_rank, {})], **FEW)


def test_every_function_is_called_or_left_out_for_a_reason() -> None:
    public = {
        name
        for name, value in vars(az).items()
        if not name.startswith("_") and callable(value) and not isinstance(value, type)
    }
    left_out = {name for names in REASONS.values() for name in names}
    assert public == {*CALLS, *APART, *left_out}


def test_chains_that_exchange_labels_do_not_show(fit: mc.Fit) -> None:
    apart = stand_in(mc.fit(SPEC, fit.panel, starts=4, seed=1), draws=200, chains=4, seed=1)
    assert len(np.unique(apart.draws.permutation[:, 0], axis=0)) == 2
    assert az.summary(apart.tree)["r_hat"].max() < 1.05
    sampled = xr.DataTree.from_dict({"posterior": apart.posterior_as_sampled})
    assert az.summary(sampled)["r_hat"].max() > 1.5
