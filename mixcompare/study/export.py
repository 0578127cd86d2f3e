"""A study's tables as files for other programs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mixcompare.staging import staged
from mixcompare.study.load import Study
from mixcompare.study.store import TABLES, open_store


def export(study: Study, store: Path, directory: Path) -> list[str]:
    """Write every table of the store and the performance measures as Parquet and CSV.

    Parameters
    ----------
    store
        The store's file.
    directory
        The folder; files of the same names are replaced when all are written.

    Returns
    -------
    Paths of the files.

    Raises
    ------
    MixCompareError
        If there is no store, or the folder cannot be written.
    """
    from mixcompare.study.measures import measure_tables

    with open_store(store, create=False) as opened:
        frames = {name: opened.frame(name) for name in TABLES}
        factors = opened.factors()
        frames |= measure_tables(study, opened)
    levels = pd.DataFrame.from_dict(factors, orient="index").rename_axis("scenario").reset_index()
    frames["scenarios"] = levels
    written = []
    with staged(directory, last="tasks.parquet") as folder:
        for name, frame in frames.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
            _storable(frame).to_parquet(folder / f"{name}.parquet", index=False)
            written += [str(directory / f"{name}{end}") for end in (".csv", ".parquet")]
    return written


def _storable(frame: pd.DataFrame) -> pd.DataFrame:
    """Mixed columns (levels of several types) as text, which Parquet can hold."""
    texts = {
        str(name): column.map(lambda value: value if value is None else str(value))
        for name, column in frame.items()
        if column.dtype == object
    }
    return frame.assign(**texts)
