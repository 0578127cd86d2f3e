"""The choice of K that a study of a real panel asks for beside its comparison."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mixcompare.base.errors import DataError
from mixcompare.comparison import Comparison
from mixcompare.fits.environment import versions
from mixcompare.report.write_selection import write_selection
from mixcompare.selection import Selection, load_selection, select
from mixcompare.study.file.methods import Method
from mixcompare.study.file.schema import SelectTable
from mixcompare.study.file.select_table import select_arguments

_FOLDER: Final = "selection"
_MADE_WITH: Final = "made_with.sha256"


def selection_folder(folder: Path, *, quick: bool) -> Path:
    """Where a selection lies, for a quick run not where that of a whole one does."""
    return folder / (f"{_FOLDER}-quick" if quick else _FOLDER)


def choose(
    table: SelectTable | None,
    methods: Mapping[str, Method],
    comparison: Comparison,
    folder: Path,
    *,
    seed: int,
    options: Mapping[str, Mapping[str, Any]],
) -> Selection | None:
    """The selection that a study asks for; None if it asks for none.

    It is kept in `selection_folder` and taken from there while nothing has changed that it
    depends on.

    Parameters
    ----------
    table, methods
        The study's.
    comparison
        Of the study's fits, whose panel is used.
    folder
        Of the report.
    seed
        Root of the random numbers.
    options
        By backend, those of a quick run, which take precedence; empty for a whole one.
    """
    if table is None:
        return None
    em = comparison.em
    asked = select_arguments(table, methods, options)
    made_with = _digest([em.spec.to_dict(), em.fingerprint, seed, asked, versions()])
    kept = selection_folder(folder, quick=bool(options))
    mark = kept / _MADE_WITH
    if mark.is_file() and mark.read_text("utf-8") == made_with:
        # What another version of mixcompare has written may lack something.
        with contextlib.suppress(DataError):
            return load_selection(kept, trust=em.trust)
    mark.unlink(missing_ok=True)
    selection = select(em.spec, em.panel, seed=seed, workers=table.workers, **asked)
    write_selection(selection, kept, overwrite=True)
    # Last, so that a selection that was interrupted is made again.
    mark.write_text(made_with, "utf-8")
    return selection


def _digest(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
