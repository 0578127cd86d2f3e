"""Reading traces, running foreign steps, their errors, and what an audit shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

import mixcompare as mc
from mixcompare.auditing import State, TraceError, audit
from mixcompare.auditing.rounding import precision
from mixcompare.auditing.trace_reading import read_trace
from mixcompare.base.errors import OptionError
from mixcompare.cli.audit import audit_command
from mixcompare.data.panel import build_panel
from mixcompare.model.spec import MixtureSpec
from tests.audit_cases import SPEC, load_program
from tests.report_page import Page

program = load_program()
PANEL, *_ = program.simulate(2, artists=12, countries=2, days=10)


COLUMNS = ["iteration", "parameter", "component", "covariate", "value"]


def faulty() -> Any:
    return program.Program(PANEL, 3, program.Faults(scale=True))


@pytest.fixture(scope="module")
def trace() -> dict[str, Any]:
    run: dict[str, Any] = faulty().run(6, 0)
    return run


def long(trace: dict[str, Any]) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for t in range(len(trace["weights"])):
        rows.append((t, "covariance", None, None, trace["covariance"][t]))
        for k in range(3):
            rows.append((t, "weights", k + 1, None, trace["weights"][t, k]))
            rows += [
                (t, "coefficients", k + 1, name, trace["coefficients"][t, k, j])
                for j, name in enumerate(program.COVARIATES)
            ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sample(frac=1, random_state=0, ignore_index=True)


def test_all_kinds_of_traces_agree(trace: dict[str, Any], tmp_path: Path) -> None:
    table = long(trace)
    table.to_csv(tmp_path / "trace.csv", index=False)
    table.to_parquet(tmp_path / "trace.parquet")
    dims = {
        "weights": ("iteration", "component"),
        "coefficients": ("iteration", "component", "covariate"),
        "covariance": ("iteration",),
    }
    dataset = xr.Dataset(
        {name: (dims[name], trace[name]) for name in dims},
        coords={"covariate": program.COVARIATES, "iteration": np.arange(7)},
    )
    wanted = audit(SPEC, PANEL, trace)
    for given in (
        dataset,
        dataset.isel(covariate=[2, 0, 1]).transpose(),
        table,
        tmp_path / "trace.csv",
        str(tmp_path / "trace.parquet"),
    ):
        found = audit(SPEC, PANEL, given)
        assert found.finding == wanted.finding
        pd.testing.assert_frame_equal(found.iterations, wanted.iterations)


def test_a_step_function_and_its_trace_agree(trace: dict[str, Any]) -> None:
    wrong = faulty()

    def step(state: State) -> dict[str, Any]:
        assert state.coefficients.shape == (3, 3, 1)
        flat = {"weights": state.weights, "coefficients": state.coefficients[..., 0]}
        new: dict[str, Any] = wrong.step(flat | {"covariance": state.covariance[0]})
        return new

    ran = audit(SPEC, PANEL, step, start=wrong.start(0), iterations=6)
    read = audit(SPEC, PANEL, trace)
    assert ran.causes == read.causes
    assert np.allclose(ran.iterations["log_likelihood"], read.iterations["log_likelihood"])


@pytest.mark.parametrize("beside", ["the parameters before", "the parameters after"])
def test_responsibilities_are_read_beside_either_parameters(beside: str) -> None:
    wrong = program.Program(PANEL, 3, program.Faults(observation_major=True))
    trace = wrong.run(6, 0)
    states = [{name: values[t] for name, values in trace.items()} for t in range(7)]
    tau = np.stack([wrong.e_step(state)[0] for state in states])
    none = np.full((1, *tau.shape[1:]), np.nan)
    if beside == "the parameters after":
        tau = np.concatenate([none, tau[:-1]])
    found = audit(SPEC, PANEL, trace | {"responsibilities": tau})
    assert found.causes == ("weights in observation-major order",)
    assert found.iterations["responsibilities_error"].max() < 1e-9
    assert found.iterations["coefficients_error_given_theirs"].min() > 1e-4


def test_wrong_responsibilities_beside_a_right_m_step() -> None:
    wrong = program.Program(PANEL, 3, program.Faults(raw=True))
    states = [wrong.start(0)]
    told = [np.full((12, 3), np.nan)]
    for _ in range(2):
        told.append(wrong.e_step(states[-1])[0].to_numpy())
        states.append(wrong.step(states[-1]))
    trace = {name: np.stack([s[name] for s in states]) for name in states[0]}
    found = audit(SPEC, PANEL, trace | {"responsibilities": np.stack(told)})
    assert found.causes == ("E-step without the effects",)
    assert found.iterations["coefficients_error_given_theirs"].max() < 1e-9


@pytest.mark.parametrize(
    ("change", "kind", "text"), [(5.0, "note", "the constant 5"), (None, "fault", "is not that")]
)
def test_the_programs_own_log_likelihood(change: float | None, kind: str, text: str) -> None:
    right = program.Program(PANEL, 3, program.Faults()).run(6, 0)
    exact = audit(SPEC, PANEL, right).iterations["log_likelihood"].to_numpy()
    own = exact + (np.arange(7) ** 2 if change is None else change)
    found = audit(SPEC, PANEL, right | {"log_likelihood": own})
    assert found.findings["kind"].to_list() == [kind]
    assert text in found.finding
    late = audit(SPEC, PANEL, right | {"log_likelihood": np.concatenate([[np.nan], exact[:-1]])})
    assert late.causes == ()


def test_a_program_that_breaks_off_is_audited_up_to_there() -> None:
    wrong, calls = faulty(), []

    def step(state: State) -> dict[str, Any]:
        calls.append(1)
        if len(calls) > 3:
            raise FloatingPointError("underflow")
        flat = {"weights": state.weights, "coefficients": state.coefficients[..., 0]}
        new: dict[str, Any] = wrong.step(flat | {"covariance": state.covariance[0]})
        return new

    found = audit(SPEC, PANEL, step, start=wrong.start(0), iterations=10)
    assert len(found.trace) == 4
    assert found.causes[-1] == "the program stops"
    assert (
        "iteration 4 failed: FloatingPointError: underflow" in found.findings["evidence"].iloc[-1]
    )


def changed(trace: dict[str, Any], **arrays: Any) -> dict[str, Any]:
    return {**trace, **arrays}


def negative(trace: dict[str, Any]) -> Any:
    values = trace["covariance"].copy()
    values[4] = -1.0
    return values


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "weights"}, "lacks weights"),
        (lambda t: changed(t, sigma=1), "unknown entry 'sigma'"),
        (lambda t: changed(t, weights=t["weights"][:, :2]), "n_components=3"),
        (lambda t: changed(t, coefficients=t["coefficients"][:, :, :2]), "coefficients have shape"),
        (lambda t: changed(t, covariance=t["covariance"][:4]), "covariance have shape"),
        (lambda t: changed(t, covariance=negative(t)), "component 1 at iteration 4"),
        (lambda t: changed(t, covariance=np.ones((7, 3)) + np.arange(3)), "differ by component"),
        (lambda t: changed(t, weights=-t["weights"]), "no weight may be negative"),
        (lambda t: changed(t, coefficients=t["coefficients"] * np.nan), "at iteration 0"),
        (lambda t: changed(t, iteration=[0, 1, 2, 4, 5, 6, 7]), "iteration 3 is missing"),
        (lambda t: changed(t, responsibilities=np.ones((7, 5, 3))), "responsibilities have shape"),
        (lambda t: {k: v[:1] for k, v in t.items()}, "a step needs two"),
        (lambda t: changed(t, weights="many"), "not an array of numbers"),
    ],
)
def test_a_wrong_trace_is_refused_with_the_culprit(
    trace: dict[str, Any], wrong: Any, text: str
) -> None:
    with pytest.raises(TraceError, match=text):
        audit(SPEC, PANEL, wrong(trace))


@pytest.mark.parametrize("digits", [4, 6])
@pytest.mark.parametrize(
    ("faults", "causes"),
    [
        ({}, ()),
        ({"scale": True}, ("variance from the stacked regression's scale",)),
        ({"observation_major": True}, ("weights in observation-major order",)),
    ],
)
def test_a_rounded_trace_is_held_to_its_digits(
    digits: int, faults: dict[str, bool], causes: tuple[str, ...]
) -> None:
    trace = program.Program(PANEL, 3, program.Faults(**faults)).run(6, 0)
    rounded = {name: values.round(digits) for name, values in trace.items()}
    assert audit(SPEC, PANEL, rounded).causes == causes


def test_a_weight_that_vanishes_hides_no_digits(trace: dict[str, Any]) -> None:
    four = np.vectorize(lambda value: float(f"{value:.4g}"))
    rounded = {name: four(values) for name, values in trace.items()}
    rounded["weights"][-1] = 1.0, 5e-322, 0.0
    assert precision(read_trace(SPEC, build_panel(SPEC, PANEL), rounded)) == 0.01


def test_a_trace_of_standard_deviations_is_refused() -> None:
    right = program.Program(PANEL, 3, program.Faults()).run(6, 0)
    with pytest.raises(TraceError, match="standard deviations"):
        audit(SPEC, PANEL, changed(right, covariance=np.sqrt(right["covariance"])))


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("parameter", "weight", r"row 5 .* \(did you mean 'weights'\?\)"),
        ("covariate", "adz", r"row \d+ .* \(did you mean 'ads'\?\)"),
        ("component", 4, r"row \d+ .* allowed: 1, 2, 3"),
        ("value", "much", r"row 5 .* allowed: numbers"),
        ("iteration", 1.5, r"row 5 .* allowed: whole numbers"),
    ],
)
def test_a_wrong_row_is_named(trace: dict[str, Any], column: str, value: Any, text: str) -> None:
    table = long(trace).astype({column: object})
    own = table.index[table["parameter"] == "coefficients"]
    table.loc[5 if column in ("parameter", "value", "iteration") else own[3], column] = value
    with pytest.raises(TraceError, match=text):
        audit(SPEC, PANEL, table)


def test_a_missing_and_a_repeated_row_are_named(trace: dict[str, Any]) -> None:
    table = long(trace)
    gone = table[(table["parameter"] != "weights") | (table["iteration"] != 3)]
    with pytest.raises(TraceError, match="weights at iteration 3 lack component 1"):
        audit(SPEC, PANEL, gone)
    with pytest.raises(TraceError, match="a second time"):
        audit(SPEC, PANEL, pd.concat([table, table.head(1)]))
    with pytest.raises(TraceError, match="no column 'parameter'"):
        audit(SPEC, PANEL, table.drop(columns="parameter"))
    with pytest.raises(TraceError, match="there is no such file"):
        audit(SPEC, PANEL, "nowhere.csv")


def test_a_wrong_step_function_is_refused() -> None:
    with pytest.raises(TraceError, match="first iteration: TypeError"):
        audit(SPEC, PANEL, lambda state: dict(state)["weights"])
    with pytest.raises(TraceError, match="iteration 1 gives a int"):
        audit(SPEC, PANEL, lambda state: 3)
    with pytest.raises(OptionError, match="iterations"):
        audit(SPEC, PANEL, lambda state: state, iterations=0)
    with pytest.raises(OptionError, match="counts"):
        audit(SPEC, PANEL, lambda state: state, counts="cells")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="tolerance"):
        audit(SPEC, PANEL, lambda state: state, tolerance=0)


def test_what_an_audit_shows(trace: dict[str, Any]) -> None:
    found = audit(SPEC, PANEL, trace)
    assert "variance from the stacked regression" in repr(found)
    assert "<table" in found._repr_html_()
    top, bottom = mc.plot(found).axes
    assert top.get_ylabel() == "exact log-likelihood"
    assert bottom.get_yscale() == "log"
    assert bottom.yaxis.get_major_formatter()(1e-6, 0) == "10\N{SUPERSCRIPT MINUS}⁶"


def test_the_command(trace: dict[str, Any], tmp_path: Path) -> None:
    PANEL.to_csv(tmp_path / "panel.csv", index=False)
    long(trace).to_csv(tmp_path / "trace.csv", index=False)
    app = typer.Typer()
    app.command("audit")(audit_command)
    options = ["--formula", SPEC.formula, "--components", "3", "--unit", "artist"]
    options += ["--absorb", "artist:country", "--covariance-by", "shared"]
    files = [str(tmp_path / "panel.csv"), str(tmp_path / "trace.csv")]
    shown = CliRunner().invoke(app, [*files, *options, "-o", str(tmp_path / "out")])
    assert shown.exit_code == 3, shown.output
    assert "fault: variance from the stacked regression's scale" in shown.stdout
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"figures", "report.html", "tables"}
    read = pd.read_csv(out / "tables" / "iterations.csv")
    assert {"cost_of_variance", "exact_change"} <= set(read)
    page = Page((out / "report.html").read_text("utf-8"))
    assert {"summary", "findings", "steps", "table-iterations", "figure-audit"} <= set(page.ids)
    assert not page.without_alt
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "variance from the stacked regression's scale" in page.text
    assert "1 fault found; the log-likelihood" in page.text


def test_the_page_of_an_exact_em(tmp_path: Path) -> None:
    spec = MixtureSpec("y ~ 1", n_components=1)
    rows = {"y": np.arange(12.0)}
    mean, variance = 5.5, float(np.var(rows["y"]))
    exact = {"weights": [1.0], "coefficients": [[mean]], "covariance": [variance]}
    found = audit(spec, rows, lambda state: exact, iterations=3)
    assert found.passed
    page = mc.write_report(found, tmp_path, title="A & B").read_text("utf-8")
    assert "<title>A &amp; B</title>" in page
    assert "No fault found; the log-likelihood never falls in 3 steps." in page
    assert "exact</span>" in page
