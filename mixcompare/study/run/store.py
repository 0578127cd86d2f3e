"""The store of a study: one SQLite file that a killed run leaves whole."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare.base.errors import DataError, MachineError, OptionError
from mixcompare.study.run.store_errors import damaged, explained
from mixcompare.study.run.store_tables import SCHEMA, SCHEMA_VERSION
from mixcompare.study.task.task import Result, Task

# Outcomes without a fit.
FAILURES: Final = ("error", "timeout", "worker died")
TABLES: Final = ("tasks", "estimates", "criteria", "diagnostics")
# Of a task: what goes when it is run again.
_OF_TASKS: Final = (*TABLES[1:], "fits")
# Reading needs a file beside the store's, which a folder that cannot be written does not take.
_NO_WRITING: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
# Seconds to wait for another program that has locked the file.
_PATIENCE: Final = 10.0


class Store:
    """An open store; `mixcompare.study.run.store_tables` has its tables."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._file = path.stat().st_ino

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
        listed = [
            Task(task, place[scenario], replicate, method)
            for task, scenario, replicate, method in rows
            if scenario in place and replicate < counts.get(method, 0)
        ]
        return sorted(listed, key=lambda t: (t.replicate, t.scenario, order[t.method]))

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
        """Write everything about a task in one transaction.

        Raises
        ------
        MachineError
            If the file has been moved or removed meanwhile, which SQLite does not notice.
        """
        self._check_there()
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO versions (content) VALUES (?)", (result.versions,)
            )
            connection.execute(
                "UPDATE tasks SET outcome = :outcome, message = :message, seed = :seed, "
                "seconds = :seconds, host = :host, finished = :finished, versions = (SELECT "
                "versions FROM versions WHERE content = :versions) WHERE task = :number",
                {
                    **{field.name: getattr(result, field.name) for field in fields(result)},
                    "seed": str(result.seed),
                    "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
                },
            )
            for table in _OF_TASKS:
                connection.execute(f"DELETE FROM {table} WHERE task = ?", (result.number,))
            if result.file:
                connection.execute(
                    "INSERT INTO fits VALUES (?, ?, ?)", (result.number, result.file, result.digest)
                )
            connection.executemany(
                "INSERT INTO estimates VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (result.number, name, *(_null(v) for v in values))
                    for name, *values in result.kept.estimates
                ],
            )
            for table in ("criteria", "diagnostics"):
                values = getattr(result.kept, table)
                connection.executemany(
                    f"INSERT INTO {table} VALUES (?, ?, ?)",
                    [(result.number, name, _null(value)) for name, value in values.items()],
                )

    def _check_there(self) -> None:
        if not self.path.exists() or self.path.stat().st_ino != self._file:
            raise MachineError(
                f"{self.path} has been moved or removed while the study ran. Put it back, or run "
                "again and begin anew."
            )

    def kept_fits(self) -> dict[int, tuple[str, str]]:
        """File and SHA-256 of the fits that are kept, by task."""
        rows = self._connection.execute("SELECT task, file, sha256 FROM fits")
        return {int(task): (str(file), str(digest)) for task, file, digest in rows}

    def keep_fit(self, number: int, file: str, digest: str) -> None:
        """Note the file of a task's fit."""
        self._connection.execute(
            "INSERT OR REPLACE INTO fits VALUES (?, ?, ?)", (number, file, digest)
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
        return self._forget(condition, tuple(outcomes or ()))

    def forget(self, numbers: Sequence[int]) -> None:
        """Forget the results of these tasks, so that they run again."""
        for number in numbers:
            self._forget("task = ?", (number,))

    def _forget(self, condition: str, values: tuple[Any, ...]) -> int:
        with self.transaction() as connection:
            for table in _OF_TASKS:
                connection.execute(
                    f"DELETE FROM {table} WHERE task IN (SELECT task FROM tasks WHERE {condition})",
                    values,
                )
            done = connection.execute(
                "UPDATE tasks SET outcome = NULL, message = NULL, seed = NULL, seconds = NULL, "
                f"host = NULL, versions = NULL, finished = NULL WHERE {condition}",
                values,
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
            # A full disk ends the transaction by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.close()
        cause = None if error is None else explained(error, self.path)
        if cause is not None:
            raise cause from error


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
        with ExitStack() as opened:
            connection = opened.enter_context(closing(_connect(path, create=create)))
            store = _prepared(path, connection, create=create)
            opened.pop_all()
            return store
    except OSError as error:
        raise OptionError(
            f"cannot write the output folder {path.parent}: {error.strerror}. Choose another."
        ) from error
    except sqlite3.Error as error:
        raise explained(error, path) or error from error


def _connect(path: Path, *, create: bool) -> sqlite3.Connection:
    if create:
        return sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
    address, log = path.resolve().as_uri(), path.with_name(f"{path.name}-wal")
    connection = sqlite3.connect(f"{address}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:  # others are said when the connection is used
        if error.sqlite_errorcode & 0xFF in _NO_WRITING and not log.exists():
            connection.close()
            # In a folder that cannot be written nobody else can be writing either.
            return sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True)
    return connection


def _prepared(path: Path, connection: sqlite3.Connection, *, create: bool) -> Store:
    _check_sound(path, connection)
    if create:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
    # Survives a killed process; a power failure may cost the last tasks, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    store = Store(path, connection)
    version = store.get("schema")
    if version is None and create:
        store.set("schema", SCHEMA_VERSION)
        version = SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema {version}, this version of mixcompare reads {SCHEMA_VERSION}."
        )
    return store


def _check_sound(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file with pages that are damaged."""
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, " ".join(str(verdict).replace("*** in database main ***", "").split()))


def _second_key(table: str) -> str:
    return "estimand" if table == "estimates" else "name"


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
