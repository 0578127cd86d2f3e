"""The tables of a study's store, one SQLite file.

- ``study`` (key, value): schema version, name, text of the file, signature (what the results
  depend on, by part), versions and sources behind it.
- ``scenarios`` (scenario, label, factors): factors as JSON.
- ``versions`` (versions, content): versions of Python and packages, as JSON.
- ``tasks`` (task, scenario, replicate, method, outcome, message, seed, seconds, host, versions,
  finished): one row per fit that is planned; `outcome` is NULL until it is finished, then the
  fit's status, ``error``, ``timeout`` or ``worker died``; `seed` is the fit's own, as text, since
  many programs would round so large a number; replicates count from 0.
- ``estimates`` (task, estimand, truth, estimate, standard_error, lower, upper).
- ``criteria`` (task, name, value) and ``diagnostics`` (task, name, value).
- ``fits`` (task, file, sha256): name and content of the file of a fit that is kept.

NULL stands for a number that there is not (NaN). Rows of a task are written in one transaction.
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = "2"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS study (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scenarios (
    scenario INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, factors TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS versions (
    versions INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS tasks (
    task INTEGER PRIMARY KEY,
    scenario INTEGER NOT NULL REFERENCES scenarios,
    replicate INTEGER NOT NULL,
    method TEXT NOT NULL,
    outcome TEXT, message TEXT, seed TEXT, seconds REAL, host TEXT,
    versions INTEGER REFERENCES versions,
    finished TEXT,
    UNIQUE (scenario, replicate, method));
CREATE TABLE IF NOT EXISTS estimates (
    task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    estimand TEXT NOT NULL,
    truth REAL, estimate REAL, standard_error REAL, lower REAL, upper REAL,
    PRIMARY KEY (task, estimand)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS criteria (
    task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    name TEXT NOT NULL, value REAL, PRIMARY KEY (task, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS diagnostics (
    task INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,
    name TEXT NOT NULL, value REAL, PRIMARY KEY (task, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fits (
    task INTEGER PRIMARY KEY REFERENCES tasks ON DELETE CASCADE,
    file TEXT NOT NULL, sha256 TEXT NOT NULL);
"""
