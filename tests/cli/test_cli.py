"""The command line, run as a user runs it."""

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mixcompare as mc

type WriteStudy = Callable[..., Path]

SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


def mixcompare(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mixcompare.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = mixcompare("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("run", "compare", "show", "audit", "predict"):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", ["run", "compare", "show", "audit", "predict"])
def test_help_of_each_command_has_an_example(command: str, tmp_path: Path) -> None:
    done = mixcompare(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Example: mixcompare {command}" in done.stdout


def test_version(tmp_path: Path) -> None:
    done = mixcompare("--version", cwd=tmp_path)
    assert done.stdout.strip() == f"mixcompare {importlib.metadata.version('mixcompare')}"


def test_wrong_usage_has_status_2(tmp_path: Path) -> None:
    assert mixcompare("compare", "data.csv", cwd=tmp_path).returncode == 2


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The message, after a check that it is one paragraph with status 1 and nothing else."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("mixcompare: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("none.csv", "--formula", "y ~ x"), ["none.csv", "no such file"]),
        (("tiny.csv", "--formula", "y ~ z"), ["'z'", "unit, x, y"]),
        (("tiny.csv", "--formula", "y ~ ("), ["'y ~ ('"]),
        (("tiny.csv", "--formula", "y ~ x", "--covariance", "ful"), ["'ful'", "diagonal"]),
        (("tiny.csv", "--formula", "y ~ x", "--starts", "0"), ["starts", "0"]),
        (("tiny.csv", "--formula", "y ~ x", "--output", "tiny.csv/out"), ["tiny.csv/out"]),
        (("tiny.csv", "--formula", "y ~ x", "--absorb", "x"), ["spans two units", "absorb"]),
    ],
    ids=["file", "column", "formula", "covariance", "starts", "output", "cell"],
)
def test_bad_input_is_refused_in_a_paragraph(
    tiny_csv: Path, arguments: tuple[str, ...], expected: list[str]
) -> None:
    frame = pd.read_csv(tiny_csv)
    frame["x"] = frame["x"].round(1)
    frame.to_csv(tiny_csv, index=False)
    done = mixcompare(
        "compare", *arguments, "--unit", "unit", "--components", "2", cwd=tiny_csv.parent
    )
    message = refused(done)
    for part in expected:
        assert part in message
    assert [p.name for p in tiny_csv.parent.iterdir()] == ["tiny.csv"]


def test_bad_study_is_refused_in_a_paragraph(write_study: WriteStudy) -> None:
    path = write_study(("starts", "strats"))
    message = refused(mixcompare("run", path.name, cwd=path.parent))
    assert "tiny.toml: line 14: [methods.em] has an unknown key 'strats'" in message
    assert "allowed: backend, estimator, starts" in message
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.csv", "tiny.toml"]


def test_show_prints_model_parameters_and_optima(tiny_csv: Path) -> None:
    fit = mc.fit(SPEC, tiny_csv, backend="em", starts=4, seed=1)
    fit.save(tiny_csv.with_name("em.nc"))
    done = mixcompare("show", "em.nc", cwd=tiny_csv.parent)
    assert done.returncode == 0, done.stderr
    assert f"{fit.log_likelihood:.6f}" in done.stdout
    for part in ("y ~ x", "converged", "120 rows, 24 units", "Distinct optima"):
        assert part in done.stdout
    for name in fit.summary().index:
        assert name in done.stdout


def test_show_refuses_what_is_not_a_fit(tiny_csv: Path) -> None:
    message = refused(mixcompare("show", tiny_csv.name, cwd=tiny_csv.parent))
    assert "tiny.csv is not a netCDF file" in message


def test_compare_from_table_to_report(tiny_csv: Path) -> None:
    done = mixcompare(
        "compare", "tiny.csv", "--formula", "y ~ x", "--unit", "unit", "--components", "2",
        "--seed", "3", "--quick", cwd=tiny_csv.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tiny_csv.parent / "reports" / "tiny"
    names = {p.name for p in folder.iterdir()}
    assert {"report.html", "provenance.json", "em.nc", "pymc.nc"} <= names
    assert (folder / "tables" / "estimates.csv").is_file()
    assert "This is a quick run" in (folder / "report.html").read_text("utf-8")
    assert "study.toml" not in names
    assert "Report: reports/tiny/report.html" in done.stdout
    assert "Verdicts" in done.stdout
    assert json.loads((folder / "provenance.json").read_text())
    em, nuts = mc.load(folder / "em.nc"), mc.load(folder / "pymc.nc")
    assert em.spec == nuts.spec == SPEC
    assert em.fingerprint == nuts.fingerprint
    assert (em.seed, nuts.seed) == (3, 3)
    assert sorted(p.name for p in tiny_csv.parent.iterdir()) == ["reports", "tiny.csv"]


def test_audit_of_our_own_trace_finds_no_fault(tiny_csv: Path) -> None:
    fit = mc.fit(SPEC, tiny_csv, starts=1, kinds="random", seed=1)
    history = fit.tree["history"].to_dataset()
    frames = [
        history[name].to_dataframe("value").reset_index().assign(parameter=name)
        for name in ("weights", "coefficients", "covariance")
    ]
    pd.concat(frames).to_csv(tiny_csv.with_name("trace.csv"), index=False)
    done = mixcompare(
        "audit", "tiny.csv", "trace.csv", "--formula", "y ~ x", "--unit", "unit",
        "--components", "2", "--output", "found", cwd=tiny_csv.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No fault found" in done.stdout
    assert (tiny_csv.parent / "found" / "tables" / "findings.csv").is_file()


def test_predict_writes_a_line_for_each_row(tiny_csv: Path) -> None:
    fit = mc.fit(SPEC, tiny_csv, starts=4, seed=1)
    fit.save(tiny_csv.with_name("em.nc"))
    new = pd.DataFrame({"unit": ["b", "a", "b"], "x": [0.0, 1.0, 2.0], "y": [4.0, None, 8.0]})
    new.to_csv(tiny_csv.with_name("new.csv"), index=False)
    done = mixcompare("predict", "em.nc", "new.csv", "-o", "out/new.csv", cwd=tiny_csv.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 rows: out/new.csv\n"
    written = pd.read_csv(tiny_csv.parent / "out" / "new.csv")
    expected = mc.prediction_table(mc.predict(fit, new))
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    shown = mixcompare("predict", "em.nc", "new.csv", cwd=tiny_csv.parent)
    assert shown.stdout == (tiny_csv.parent / "out" / "new.csv").read_text()


def test_predict_refuses_and_writes_nothing(tiny_csv: Path) -> None:
    mc.fit(SPEC, tiny_csv, starts=4, seed=1).save(tiny_csv.with_name("em.nc"))
    tiny_csv.with_name("new.csv").write_text("unit,x\n1,2\n1,much\n")
    done = mixcompare("predict", "em.nc", "new.csv", "-o", "out/new.csv", cwd=tiny_csv.parent)
    assert "'x' is 'much' in row 1" in refused(done)
    assert not (tiny_csv.parent / "out").exists()
