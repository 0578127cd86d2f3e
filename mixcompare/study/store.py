"""The store of a study: one SQLite file that a killed run leaves whole."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare.errors import DataError, OptionError
from mixcompare.study.store_tables import SCHEMA, SCHEMA_VERSION
from mixcompare.study.task import Result, Task

# Outcomes without a fit.
FAILURES: Final = ("error", "timeout", "worker died")
TABLES: Final = ("tasks", "estimates", "criteria", "diagnostics")


class Store:
    """An open store; `mixcompare.study.store_tables` has its tables."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def set(self, key: str, value: str) -> None:
        """Write an entry of the table ``study``."""
        self._connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (key, value))

    def get(self, key: str) -> str | None:
        """Read an entry of the table ``study``."""
        row = self._connection.execute("SELECT value FROM study WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def plan(
        self,
        scenarios: Sequence[tuple[str, Mapping[str, Any]]],
        tasks: Iterable[tuple[int, int, str]],
    ) -> None:
        """Add scenarios and tasks that are not there yet, in one transaction.

        Parameters
        ----------
        scenarios
            Label and factors of each.
        tasks
            (place of the scenario in that list, replicate, method).
        """
        with self.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO scenarios (label, factors) VALUES (?, ?)",
                [(label, json.dumps(dict(factors))) for label, factors in scenarios],
            )
            number = self._scenario_numbers()
            connection.executemany(
                "INSERT OR IGNORE INTO tasks (scenario, replicate, method) VALUES (?, ?, ?)",
                [(number[scenarios[s][0]], replicate, method) for s, replicate, method in tasks],
            )

    def _scenario_numbers(self) -> dict[str, int]:
        rows = self._connection.execute("SELECT label, scenario FROM scenarios")
        return {str(label): int(number) for label, number in rows}

    def tasks(
        self,
        labels: Sequence[str],
        counts: Mapping[str, int],
        *,
        unfinished: bool,
    ) -> list[Task]:
        """Tasks of a plan, ordered by replicate, scenario and method: half a study is balanced.

        Parameters
        ----------
        labels
            Of the scenarios; a task's `scenario` is the place in this list.
        counts
            Replicates by method.
        unfinished
            Only those without an outcome.
        """
        place = {self._scenario_numbers().get(label): i for i, label in enumerate(labels)}
        order = {method: i for i, method in enumerate(counts)}
        condition = " WHERE outcome IS NULL" if unfinished else ""
        rows = self._connection.execute(
            f"SELECT task, scenario, replicate, method FROM tasks{condition}"
        )
        found = [
            Task(task, place[scenario], replicate, method)
            for task, scenario, replicate, method in rows
            if scenario in place and replicate < counts.get(method, 0)
        ]
        return sorted(found, key=lambda t: (t.replicate, t.scenario, order[t.method]))

    def task(self, number: int, labels: Sequence[str]) -> Task:
        """One task.

        Parameters
        ----------
        number
            Its key.
        labels
            Of the study's scenarios.

        Raises
        ------
        OptionError
            If there is no such task.
        """
        row = self._connection.execute(
            "SELECT label, replicate, method FROM tasks JOIN scenarios USING (scenario) "
            "WHERE task = ?",
            (number,),
        ).fetchone()
        if row is None or row[0] not in labels:
            raise OptionError(f"{self.path} has no task {number} of this study.")
        return Task(number, list(labels).index(row[0]), row[1], row[2])

    def record(self, result: Result) -> None:
        """Write everything about a task in one transaction."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO versions (content) VALUES (?)", (result.versions,)
            )
            connection.execute(
                "UPDATE tasks SET outcome = ?, message = ?, seed = ?, seconds = ?, host = ?, "
                "finished = ?, "
                "versions = (SELECT versions FROM versions WHERE content = ?) WHERE task = ?",
                (
                    result.outcome,
                    result.message,
                    str(result.seed),
                    result.seconds,
                    result.host,
                    datetime.now(UTC).isoformat(timespec="milliseconds"),
                    result.versions,
                    result.number,
                ),
            )
            for table in TABLES[1:]:
                connection.execute(f"DELETE FROM {table} WHERE task = ?", (result.number,))
            connection.executemany(
                "INSERT INTO estimates VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (result.number, name, *(_null(v) for v in values))
                    for name, *values in result.estimates
                ],
            )
            for table in ("criteria", "diagnostics"):
                values = getattr(result, table)
                connection.executemany(
                    f"INSERT INTO {table} VALUES (?, ?, ?)",
                    [(result.number, name, _null(value)) for name, value in values.items()],
                )

    def reset(self, outcomes: Sequence[str] | None = None) -> int:
        """Forget results, so that their tasks run again.

        Parameters
        ----------
        outcomes
            Only tasks with these; None for all.

        Returns
        -------
        How many.
        """
        marks = ", ".join("?" for _ in outcomes or ())
        condition = "outcome IS NOT NULL" if outcomes is None else f"outcome IN ({marks})"
        with self.transaction() as connection:
            for table in TABLES[1:]:
                connection.execute(
                    f"DELETE FROM {table} WHERE task IN (SELECT task FROM tasks WHERE {condition})",
                    tuple(outcomes or ()),
                )
            done = connection.execute(
                "UPDATE tasks SET outcome = NULL, message = NULL, seed = NULL, seconds = NULL, "
                f"host = NULL, versions = NULL, finished = NULL WHERE {condition}",
                tuple(outcomes or ()),
            )
            return done.rowcount

    def frame(self, table: str) -> pd.DataFrame:
        """A table of finished tasks with what they are: scenario, replicate, method, outcome.

        Parameters
        ----------
        table
            One of `TABLES`.
        """
        columns = "scenarios.label AS scenario, replicate, method, outcome"
        if table == "tasks":
            return pd.read_sql_query(
                f"SELECT task, {columns}, message, seed, seconds, host, versions.content AS "
                "versions, finished FROM tasks JOIN scenarios USING (scenario) "
                "LEFT JOIN versions USING (versions) ORDER BY task",
                self._connection,
            )
        return pd.read_sql_query(
            f"SELECT task, {columns}, {table}.* FROM {table} JOIN tasks USING (task) "
            f"JOIN scenarios USING (scenario) ORDER BY task, {_second_key(table)}",
            self._connection,
        ).loc[:, lambda frame: ~frame.columns.duplicated()]

    def factors(self) -> dict[str, dict[str, Any]]:
        """Levels of the factors by the scenario's label."""
        rows = self._connection.execute("SELECT label, factors FROM scenarios ORDER BY scenario")
        return {str(label): json.loads(factors) for label, factors in rows}

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(path: Path, *, create: bool) -> Store:
    """Open a study's store.

    Parameters
    ----------
    path
        The file.
    create
        Whether it is made if it is not there; if not, it is opened for reading.

    Raises
    ------
    DataError
        If there is no such file or it is not a study's store.
    OptionError
        If it cannot be made.
    """
    if not create and not path.is_file():
        raise DataError(f"{path}: there is no such store; has the study been run?")
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, timeout=60)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)
        else:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        # Survives a killed process; a power failure may cost the last tasks, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        store = Store(path, connection)
        version = store.get("schema")
    except OSError as error:
        raise OptionError(
            f"cannot write the output folder {path.parent}: {error.strerror}. Choose another."
        ) from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path} is not the store of a study: {error}.") from error
    if version is None and create:
        store.set("schema", SCHEMA_VERSION)
    elif version != SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema {version}, this version of mixcompare reads {SCHEMA_VERSION}."
        )
    return store


def _second_key(table: str) -> str:
    return "estimand" if table == "estimates" else "name"


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
