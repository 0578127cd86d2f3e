"""A small simulation study, and what two stores have in common."""

import copy
import sqlite3
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from mixcompare.cli.app import app

SIMULATED: dict[str, Any] = {
    "study": {"name": "small"},
    "model": {"formula": "y ~ x", "unit": "unit", "n_components": 2},
    "simulate": {
        "units": 30,
        "periods": [3, 6],
        "weights": [0.6, 0.4],
        "covariance": [1.0, 0.5],
        "coefficients": {"Intercept": [0.0, 3.0], "x": [1.0, -1.0]},
        "covariates": {"x": {"distribution": "normal"}},
    },
    "grid": {"crossed": {"simulate.separation": [0.7, 1.0]}},
    "methods": {
        "one": {"backend": "em", "starts": 1},
        "five": {"backend": "em", "starts": 5, "standard_errors": "sandwich"},
    },
    "run": {"replicates": 3, "seed": 4, "workers": 0},
}


def content(**changes: Any) -> dict[str, Any]:
    """The small study's tables with keys replaced: ``run__seed=5`` is ``[run] seed = 5``."""
    tables = copy.deepcopy(SIMULATED)
    for name, value in changes.items():
        *path, key = name.split("__")
        place = tables
        for part in path:
            place = place.setdefault(part, {})
        place[key] = value
    return tables


def toml(tables: dict[str, Any]) -> str:
    """Tables as a study file."""
    return "".join(_table((), tables))


def _table(path: tuple[str, ...], table: dict[str, Any]) -> list[str]:
    lines = [f"\n[{'.'.join(_key(p) for p in path)}]\n"] if path else []
    inner = {k: v for k, v in table.items() if isinstance(v, dict)}
    lines += [f"{_key(k)} = {_value(v)}\n" for k, v in table.items() if k not in inner]
    for key, value in inner.items():
        lines += _table((*path, key), value)
    return lines


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value).replace("'", '"')


def results(store: Path) -> dict[str, list[Any]]:
    """All that a store says of its tasks but for times and hosts, exactly."""
    connection = sqlite3.connect(store)
    place = "scenario, replicate, method"
    queries = {
        "tasks": f"SELECT {place}, outcome, message FROM tasks ORDER BY 1, 2, 3",
        **{
            table: f"SELECT {place}, {table}.* FROM {table} JOIN tasks USING (task) "
            "ORDER BY 1, 2, 3, 5"
            for table in ("estimates", "criteria", "diagnostics")
        },
    }
    found = {name: connection.execute(query).fetchall() for name, query in queries.items()}
    connection.close()
    return found


def invoke(*arguments: object) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout
