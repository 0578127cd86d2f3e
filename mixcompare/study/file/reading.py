"""What a study reads: its file, and its data."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from mixcompare import datasets
from mixcompare.base.errors import OptionError
from mixcompare.data.tables import read_table
from mixcompare.study.file.custom import call
from mixcompare.study.file.schema import DataTable


def read_study(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and tables of a study file.

    Raises
    ------
    OptionError
        If it cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionError(f"study file {path} cannot be read: {reason}.") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"study file {path} is not valid TOML: {error}.") from error


def read_data(
    source: DataTable, path: Path | None, identifiers: Collection[str] = ()
) -> pd.DataFrame:
    """The table that ``[data]`` names.

    Parameters
    ----------
    path
        Of the study file, which the data's file is relative to; None: the current folder.
    identifiers
        See `mixcompare.data.tables.read_table`.

    Raises
    ------
    DataError
        If there is none.
    """
    if source.panel is not None:
        return datasets.load(source.panel)
    if source.file is not None:
        folder = Path() if path is None else path.parent
        return read_table(folder / source.file, identifiers)
    return call(str(source.loader))


def fingerprint(frame: pd.DataFrame) -> str:
    """SHA-256 of a table's columns, types and values."""
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(f"{name}:{frame[name].dtype}".encode())
        digest.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
    return digest.hexdigest()
