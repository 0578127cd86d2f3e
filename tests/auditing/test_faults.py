"""Every known fault is named when it is planted, none when the program is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.auditing import TraceError, audit
from mixcompare.cli.audit import audit_command
from tests.audit_programs import Program, panel, specification

# Rows per unit, outcomes, classes, covariates beside the intercept.
PANELS: dict[str, dict[str, Any]] = {
    "one outcome, long units": {"units": 60, "rows": (1, 6), "m": 1, "k": 2},
    "one outcome, one-row units": {"units": 200, "rows": (1, 1), "m": 1, "k": 3},
    "two outcomes, two covariates": {
        "units": 60,
        "rows": (1, 6),
        "m": 2,
        "k": 3,
        "covariates": 2,
    },
    "three outcomes, one-row units": {"units": 250, "rows": (1, 1), "m": 3, "k": 2},
}
LONG, SINGLE, SEVERAL, THREE = PANELS
EVERYWHERE = (LONG, SINGLE, SEVERAL, THREE)
UNITS = (LONG, SEVERAL)
MATRICES = (SEVERAL, THREE)

# Switch of the program, what the audit calls it, where it makes a difference.
FAULTS: list[tuple[str, str, tuple[str, ...]]] = [
    ("ridge", "ridge", EVERYWHERE),
    ("divisor N", "variance divided by all rows", (LONG,)),
    ("divisor K n_k", "variance divided by K times the rows", EVERYWHERE),
    ("determinant not halved", "determinant not halved", EVERYWHERE),
    ("covariance squared", "variance used as standard deviation", (LONG, SINGLE)),
    ("covariance squared", "covariance squared in the E-step", (SEVERAL,)),
    ("transposed cholesky", "transposed Cholesky factor", MATRICES),
    ("smoothed weights", "smoothed weights", EVERYWHERE),
    ("last batch", "last batch only", EVERYWHERE),
    ("wrong axis", "softmax over the wrong axis", EVERYWHERE),
    ("rows in place of units", "rows in place of units", UNITS),
    ("mean in place of sum", "mean in place of sum in the E-step", UNITS),
    ("mean in M-step", "mean in place of sum", UNITS),
    ("tempering", "tempering", EVERYWHERE),
    ("damping", "damping", EVERYWHERE),
    (
        "previous responsibilities",
        "variance from the previous responsibilities",
        EVERYWHERE,
    ),
    ("old weights", "old weights in the E-step", EVERYWHERE),
    ("off-diagonals halved", "off-diagonals halved", MATRICES),
    ("pooled covariance", "pooled covariance in the E-step", EVERYWHERE),
    ("reg_covar", "constant added to the variances", EVERYWHERE),
]
QUICK = {SEVERAL, LONG}
PLANTED = [
    pytest.param(fault, cause, where, marks=() if where in QUICK else pytest.mark.slow)
    for fault, cause, all_ in FAULTS
    for where in all_
]


def planted(
    where: str, *faults: str, iterations: int = 9, constants: dict[str, float] | None = None
) -> Any:
    """Specification, table and trace of a program with faults."""
    table = panel(**PANELS[where])
    k = PANELS[where]["k"]
    program = Program(table, k, frozenset(faults), constants=constants or {})
    return specification(table, k), table, program.run(iterations)


@pytest.mark.parametrize(("fault", "cause", "where"), PLANTED)
def test_a_planted_fault_is_named_and_no_other_is(fault: str, cause: str, where: str) -> None:
    found = audit(*planted(where, fault))
    assert found.causes == (cause,)


@pytest.mark.parametrize("where", EVERYWHERE)
def test_the_right_program_is_acquitted(where: str) -> None:
    assert audit(*planted(where, iterations=15)).causes == ()


CONSTANTS = [
    ("tempering", 0.6),
    ("tempering", 1.3),
    ("damping", 0.7),
    ("damping", 1.2),
    ("ridge", 5.0),
    ("ridge", 0.4),
    ("smoothing", 3.0),
    ("reg_covar", 0.02),
]


@pytest.mark.parametrize(("name", "value"), CONSTANTS)
def test_the_constant_of_a_fault_is_estimated(name: str, value: float) -> None:
    fault = "smoothed weights" if name == "smoothing" else name
    found = audit(*planted(SEVERAL, fault, constants={name: value}))
    assert len(found.causes) == 1
    assert found.findings["constant"].to_list() == pytest.approx([value], rel=1e-5)
    assert f"{value:g}" in found.finding


PAIRS = [
    ("tempering", "divisor K n_k"),
    ("ridge", "smoothed weights"),
    ("determinant not halved", "off-diagonals halved"),
    ("old weights", "ridge"),
]
NAMES = {fault: cause for fault, cause, _ in FAULTS}


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_of_faults_are_told_apart(pair: tuple[str, str]) -> None:
    found = audit(*planted(SEVERAL, *pair))
    assert set(found.causes) == {NAMES[fault] for fault in pair}


@pytest.mark.parametrize("digits", [4, 6])
@pytest.mark.parametrize("fault", ["", "determinant not halved", "smoothed weights", "damping"])
def test_rounding_neither_accuses_nor_hides(fault: str, digits: int) -> None:
    spec, table, trace = planted(SEVERAL, fault)
    rounded = {name: values.round(digits) for name, values in trace.items()}
    assert audit(spec, table, rounded).causes == ((NAMES[fault],) if fault else ())


def test_digits_of_a_trace_at_rest_are_seen() -> None:
    """After a few iterations the rounded weights are the same two numbers over and over."""
    table = pd.DataFrame(
        {"y": np.random.default_rng(0).normal(size=200) + 6 * (np.arange(200) < 90)}
    )
    spec = mc.MixtureSpec("y ~ 1", n_components=2)
    program = Program(table.rename(columns={"y": "y0"}).assign(unit=np.arange(200)), 2)
    trace = program.run(40)
    exact = audit(spec, table, trace).iterations["log_likelihood"].to_numpy()
    given = {n: v[5:].round(4) for n, v in trace.items()} | {"log_likelihood": exact[5:].round()}
    assert audit(spec, table, given).causes == ()


def test_a_trace_of_too_few_digits_is_not_judged() -> None:
    spec, table, trace = planted(LONG)
    far = {name: np.vectorize(lambda v: float(f"{v:.4g}"))(v) for name, v in trace.items()}
    table, far["coefficients"] = table.assign(y0=table["y0"] + 1e8), far["coefficients"] + 0.0
    far["coefficients"][:, :, 0] += 1e8
    far["coefficients"] = np.vectorize(lambda v: float(f"{v:.4g}"))(far["coefficients"])
    found = audit(spec, table, far)
    assert found.causes == ("too few digits to judge",)
    assert found.passed


def test_few_digits_of_one_part_decide() -> None:
    spec, table, trace = planted(LONG)
    assert audit(spec, table, trace | {"weights": trace["weights"].round(3)}).causes == ()


@pytest.mark.parametrize("digits", [4, 5, 6])
@pytest.mark.parametrize("k", [2, 4])
def test_extreme_weights_that_are_rounded_are_acquitted(k: int, digits: int) -> None:
    table = panel(units=150, rows=(1, 2), m=2, k=k)
    program = Program(table, k)
    start = program.start()
    start["weights"] = np.array([1 - 1e-3 * (k - 1), *[1e-3] * (k - 1)])
    states = [start]
    for _ in range(8):
        states.append(program.step(states[-1]))
    trace = {name: np.stack([s[name] for s in states]).round(digits) for name in start}
    assert audit(specification(table, k), table, trace).causes == ()


# --- scikit-learn -----------------------------------------------------------------------


def scikit_learn(points: Any, k: int, reg_covar: float, iterations: int) -> dict[str, Any]:
    """`GaussianMixture(covariance_type="full")`, its iteration rewritten."""
    rng = np.random.default_rng(1)
    resp = rng.dirichlet(np.arange(2.0, 2 + k), size=len(points))
    states, bounds = [], []
    for _ in range(iterations):
        nk = resp.sum(axis=0) + 10 * np.finfo(float).eps
        means = resp.T @ points / nk[:, None]
        covariances = []
        for j in range(k):
            diff = points - means[j]
            covariances.append((resp[:, j] * diff.T) @ diff / nk[j])
            covariances[-1].flat[:: points.shape[1] + 1] += reg_covar
        weights = nk / nk.sum()
        states.append((weights, means, np.stack(covariances)))
        log_prob = []
        for j in range(k):
            precision = np.linalg.inv(np.linalg.cholesky(covariances[j])).T
            y = points @ precision - means[j] @ precision
            size = points.shape[1] * np.log(2 * np.pi)
            log_prob.append(-0.5 * (size + (y**2).sum(axis=1)) + np.log(np.diag(precision)).sum())
        weighted = np.stack(log_prob, axis=1) + np.log(weights)
        total = np.logaddexp.reduce(weighted, axis=1)
        bounds.append(total.mean())
        resp = np.exp(weighted - total[:, None])
    weights, means, covariance = (np.stack(part) for part in zip(*states, strict=True))
    return {
        "weights": weights,
        "coefficients": means[:, :, None, :],
        "covariance": covariance,
        "log_likelihood": np.array(bounds),
    }


@pytest.mark.parametrize("scale", [1.0, 0.02])
@pytest.mark.parametrize("k", [2, 3])
def test_scikit_learns_default_is_no_fault(scale: float, k: int) -> None:
    table = panel(units=200, rows=(1, 1), m=2, k=k)[["y0", "y1"]] * scale
    spec = mc.MixtureSpec("y0 + y1 ~ 1", n_components=k)
    trace = scikit_learn(table.to_numpy(), k, 1e-6, 15)
    found = audit(spec, table, trace)
    assert found.passed
    notes = found.findings.set_index("cause")
    assert notes["kind"].eq("note").all()
    assert notes["constant"]["own log-likelihood"] == pytest.approx(1 / len(table))
    if scale < 1:
        assert notes["constant"]["constant added to the variances"] == pytest.approx(1e-6, rel=1e-3)
        assert "1e-06 is added to every variance" in found.finding


def test_a_large_constant_on_the_variances_is_a_fault() -> None:
    found = audit(*planted(SEVERAL, "reg_covar", constants={"reg_covar": 0.5}))
    assert found.findings["kind"].to_list() == ["fault"]


LIKELIHOODS = [
    ("mean per row", lambda own, n, m: own / n),
    ("negative of the log-likelihood", lambda own, n, m: -own),
    ("negative of its mean per row", lambda own, n, m: -own / n),
    ("deviance", lambda own, n, m: -2 * own),
    ("bits", lambda own, n, m: own / np.log(2)),
    ("constant of the normal density", lambda own, n, m: own + n * m / 2 * np.log(2 * np.pi)),
    ("by the constant -7", lambda own, n, m: own - 7),
    ("times 0.37", lambda own, n, m: 0.37 * own),
    ("bits", lambda own, n, m: (own / np.log(2)).round(3)),
]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("words", "change"), LIKELIHOODS)
def test_a_multiple_or_shift_of_the_log_likelihood_is_a_note(
    words: str, change: Any, late: bool
) -> None:
    spec, table, trace = planted(SEVERAL)
    exact = audit(spec, table, trace).iterations["log_likelihood"].to_numpy()
    own = change(exact, len(table), 2)
    if late:
        own = np.append(np.nan, own[:-1])
    found = audit(spec, table, trace | {"log_likelihood": own})
    assert found.findings["kind"].to_list() == ["note"]
    assert words in found.finding


def test_a_rounded_log_likelihood_of_a_rounded_trace_agrees() -> None:
    spec, table, trace = planted(SEVERAL)
    exact = audit(spec, table, trace).iterations["log_likelihood"].to_numpy()
    rounded = {n: v.round(4) for n, v in (trace | {"log_likelihood": exact}).items()}
    assert audit(spec, table, rounded).causes == ()
    printed = trace | {"log_likelihood": exact.round(2)}
    assert audit(spec, table, printed).causes == ()


def test_another_log_likelihood_is_a_fault() -> None:
    spec, table, trace = planted(SEVERAL)
    exact = audit(spec, table, trace).iterations["log_likelihood"].to_numpy()
    found = audit(spec, table, trace | {"log_likelihood": exact + np.arange(len(exact)) ** 2})
    assert found.findings["kind"].to_list() == ["fault"]


# --- forms of traces --------------------------------------------------------------------


def thin(trace: dict[str, Any], every: int) -> dict[str, Any]:
    return {name: values[::every] for name, values in trace.items()}


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("every", [2, 3, 7])
def test_every_nth_iterate_is_recognised(every: int, numbered: bool) -> None:
    spec, table, trace = planted(SEVERAL, iterations=28)
    few = thin(trace, every)
    if numbered:
        few["iteration"] = every * np.arange(len(few["weights"]))
    found = audit(spec, table, few)
    assert found.passed
    assert len(found.causes) == 1
    assert found.findings["constant"].to_list() == [every]
    assert (
        f"{every} exact E- and M-steps" in found.finding or f"{every} exact steps" in found.finding
    )


@pytest.mark.slow
def test_a_thinned_trace_of_a_wrong_program_is_not_acquitted() -> None:
    spec, table, trace = planted(SEVERAL, "tempering", iterations=20)
    assert not audit(spec, table, thin(trace, 2)).passed


@pytest.mark.parametrize("fault", ["", pytest.param("tempering", marks=pytest.mark.slow)])
@pytest.mark.parametrize("order", [pytest.param("weights", marks=pytest.mark.slow), "random"])
def test_renumbered_components_are_recognised(order: str, fault: str) -> None:
    spec, table, trace = planted(SEVERAL, fault)
    if order == "weights":
        orders = np.argsort(-trace["weights"], axis=1)
    else:
        orders = np.random.default_rng(0).permuted(np.tile(np.arange(3), (10, 1)), axis=1)
    mixed = {
        name: np.stack([v[o] for v, o in zip(values, orders, strict=True)])
        for name, values in trace.items()
    }
    found = audit(spec, table, mixed)
    expected = {"components renumbered"} if (orders != orders[0]).any() else set()
    assert set(found.causes) == expected | ({"tempering"} if fault else set())
    assert found.passed != bool(fault)


@pytest.mark.parametrize("fault", ["", "determinant not halved"])
@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        (SEVERAL, np.linalg.inv, "holds precisions"),
        (LONG, lambda v: 1 / v, "holds precisions"),
        (LONG, np.sqrt, "holds standard deviations"),
        (LONG, lambda v: 1 / np.sqrt(v), "holds inverse standard deviations"),
    ],
)
def test_other_forms_of_variances_are_refused_by_name(
    where: str, change: Any, words: str, fault: str
) -> None:
    spec, table, trace = planted(where, fault)
    with pytest.raises(TraceError, match=words):
        audit(spec, table, trace | {"covariance": change(trace["covariance"])})


def test_parts_of_other_iterations_are_recognised() -> None:
    spec, table, trace = planted(SEVERAL)
    for name, words in (("weights", "class weights"), ("covariance", "variances")):
        late = np.concatenate([trace[name][:1], trace[name][:-1]])
        found = audit(spec, table, trace | {name: late})
        assert found.causes == (f"{words} one iteration late",)
        assert found.passed


@pytest.mark.parametrize("time", [True, False])
def test_rows_that_a_program_sorts_by_time_are_sorted_by_the_named_column(
    time: bool, tmp_path: Path
) -> None:
    table = panel(**PANELS[LONG])
    program = Program(table, 2, frozenset(["weights stacked by row"]))
    axes = {
        "component": [1, 2],
        "covariate": ["Intercept", "x1"],
        "outcome": ["y0"],
        "outcome_bis": ["y0"],
    }
    parts = [
        xr.DataArray(
            values,
            dims=dims,
            coords={"iteration": range(7), **{dim: axes[dim] for dim in dims[1:]}},
        )
        .to_dataframe("value")
        .reset_index()
        .assign(parameter=name)
        for (name, values), dims in zip(
            program.run(6).items(),
            (
                ("iteration", "component"),
                ("iteration", "component", "covariate", "outcome"),
                ("iteration", "component", "outcome", "outcome_bis"),
            ),
            strict=True,
        )
    ]
    pd.concat(parts).to_csv(tmp_path / "trace.csv", index=False)
    shuffled = table.assign(t=np.arange(len(table))).sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "table.csv", index=False)
    app = typer.Typer()
    app.command()(audit_command)
    files = [str(tmp_path / name) for name in ("table.csv", "trace.csv")]
    options = ["--formula", "y0 ~ x1", "--unit", "unit", "--components", "2"]
    done = CliRunner().invoke(app, [*files, *options, *(["--time", "t"] if time else [])])
    assert done.exit_code == 3, done.output
    assert ("fault: weights in observation-major order" in done.stdout) == time


# --- what no candidate explains ---------------------------------------------------------


def test_an_unknown_e_step_is_told_from_an_unknown_m_step() -> None:
    found = audit(*planted(LONG, "unknown E-step"))
    assert found.causes == ("E-step: unknown cause",)
    assert "Store the responsibilities" in found.finding


@pytest.mark.slow
def test_told_responsibilities_settle_an_unknown_e_step() -> None:
    spec, table, trace = planted(LONG, "unknown E-step")
    program = Program(table, 2, frozenset(["unknown E-step"]))
    states = [{name: values[t] for name, values in trace.items()} for t in range(10)]
    tau = np.stack([program.expectation(state) for state in states])
    found = audit(spec, table, trace | {"responsibilities": tau})
    assert found.causes == ("responsibilities: unknown cause",)


@pytest.mark.slow
def test_what_is_left_over_decides_whether_to_loosen_the_tolerance() -> None:
    spec, table, trace = planted(LONG)
    noise = 1 + 1e-4 * np.random.default_rng(0).normal(size=trace["coefficients"].shape)
    near = audit(spec, table, trace | {"coefficients": trace["coefficients"] * noise})
    assert "try a tolerance above" in " ".join(near.findings["evidence"])
    far = {
        **trace,
        "covariance": trace["covariance"] * (1.2 + 0.1 * np.arange(10) % 0.3)[:, None, None, None],
    }
    left = audit(spec, table, far).findings["evidence"]
    assert "tolerance above" not in " ".join(left)


def test_overflow_in_a_candidate_explains_nothing() -> None:
    """Two outcomes of a small scale whose densities overflow in many candidates."""
    rng = np.random.default_rng(0)
    unit = np.repeat([f"u{i:02d}" for i in range(4)], 150)
    y = rng.normal(size=(600, 2)) * 0.03 + 0.08 * (np.arange(600) // 300)[:, None]
    table = pd.DataFrame({"unit": unit, "y0": y[:, 0].round(5), "y1": y[:, 1].round(5)})
    spec = mc.MixtureSpec("y0 + y1 ~ 1", unit="unit", n_components=2)
    numbered = table.assign(unit=np.repeat(np.arange(4), 150))
    for fault in ("", "wrong axis", "divisor K n_k", "ridge"):
        trace = Program(numbered, 2, frozenset([fault])).run(8)
        assert audit(spec, table, trace).passed == (not fault)
