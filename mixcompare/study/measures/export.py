"""A study's tables as files for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow.parquet as pq

from mixcompare.base.files.csv_text import csv_text
from mixcompare.base.files.ownership import META, Owner, check_folder, place_of, read_owner
from mixcompare.base.files.staging import check_folder_name, staged
from mixcompare.study.file.load import Study
from mixcompare.study.run.store import TABLES, open_store

# The file whose metadata say what all of them are of.
_MARKED: Final = "tasks.parquet"


def export(study: Study, store: Path, directory: Path, *, overwrite: bool = False) -> list[str]:
    """Write every table of the store and the performance measures as Parquet and CSV.

    Parameters
    ----------
    store
        The store's file.
    directory
        The folder; files of an earlier export are replaced when all are written.
    overwrite
        Whether files of other studies, or not ours, may be replaced.

    Returns
    -------
    Paths of the files.

    Raises
    ------
    MixCompareError
        If there is no store, or the folder cannot be written or holds what may not be replaced.
    """
    from mixcompare.study.measures.from_store import measure_tables

    with open_store(store, create=False) as opened:
        frames = {name: opened.frame(name) for name in TABLES}
        factors = opened.factors()
        frames |= measure_tables(study, opened)
    levels = pd.DataFrame.from_dict(factors, orient="index").rename_axis("scenario").reset_index()
    frames["scenarios"] = levels
    check_folder_name(directory)
    owner = Owner("study's tables", study.name, (place_of(store),), repr(study.name))
    names = [f"{name}{end}" for name in frames for end in (".csv", ".parquet")]
    check_folder(directory, _MARKED, owner, overwrite=overwrite, names=names, known=_tables_owner)
    written = []
    with staged(directory, last=_MARKED) as folder:
        for name, frame in frames.items():
            (folder / f"{name}.csv").write_text(csv_text(frame), "utf-8")
            stored = _storable(frame)
            stored.attrs = {META: owner.to_json()}
            stored.to_parquet(folder / f"{name}.parquet", index=False)
            written += [str(directory / f"{name}{end}") for end in (".csv", ".parquet")]
    return written


def _tables_owner(table: Path) -> Owner | None:
    """What a table that was exported is of, by the metadata in its file."""
    try:
        metadata = pq.read_schema(table).metadata or {}
        return read_owner(json.loads(metadata[b"PANDAS_ATTRS"])[META])
    except (OSError, KeyError, ValueError, TypeError):
        return None


def _storable(frame: pd.DataFrame) -> pd.DataFrame:
    """Mixed columns (levels of several types) as text, which Parquet can hold."""
    texts = {
        str(name): column.map(lambda value: value if value is None else str(value))
        for name, column in frame.items()
        if column.dtype == object
    }
    return frame.assign(**texts)
