"""The choice of K that a study of a real panel asks for beside its comparison."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mixcompare.comparison import Comparison
from mixcompare.environment import versions
from mixcompare.errors import DataError
from mixcompare.machine import check_workers
from mixcompare.selection import Selection, check_arguments, load_selection, select
from mixcompare.study.methods import Method
from mixcompare.study.schema import SelectTable

_FOLDER: Final = "selection"
_MADE_WITH: Final = "made_with.sha256"
_QUICK_REPLICATES: Final = 9


def check_choice(table: SelectTable, methods: Mapping[str, Method]) -> None:
    """Refuse a table ``[select]`` with a value that is not allowed.

    Raises
    ------
    OptionError
        As `mixcompare.select`.
    """
    asked = _arguments(table, methods, {})
    check_workers(table.workers)
    check_arguments(
        asked.pop("n_components"),
        asked.pop("replicates"),
        asked.pop("replicate_starts"),
        asked.pop("posterior"),
        asked.pop("sampling"),
        asked,
    )


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
    asked = _arguments(table, methods, options)
    made_with = _digest([em.spec.to_dict(), em.fingerprint, seed, asked, versions()])
    kept = selection_folder(folder, quick=bool(options))
    mark = kept / _MADE_WITH
    if mark.is_file() and mark.read_text("utf-8") == made_with:
        # What another version of mixcompare has written may lack something.
        with contextlib.suppress(DataError):
            return load_selection(kept, trust=em.trust)
    mark.unlink(missing_ok=True)
    found = select(em.spec, em.panel, seed=seed, workers=table.workers, **asked)
    found.save(kept, overwrite=True)
    # Last, so that a selection that was interrupted is made again.
    mark.write_text(made_with, "utf-8")
    return found


def _arguments(
    table: SelectTable, methods: Mapping[str, Method], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What `mixcompare.select` is called with, as far as its numbers depend on it."""
    plain = [m for m in methods.values() if m.backend == "em" and not m.changes]
    own = next((m.options for m in plain if m.options.get("estimator", "ml") == "ml"), {})
    em = {**own, **table.further, **options.get("em", {}), "progress": False}
    sampling = {**table.sampling, **options.get("pymc", {}), "progress": False}
    replicates = min(table.replicates, _QUICK_REPLICATES) if options else table.replicates
    return {
        **em,
        "n_components": table.n_components,
        "replicates": replicates,
        "replicate_starts": table.replicate_starts,
        "posterior": tuple(table.posterior),
        "sampling": sampling if table.posterior else {},
    }


def _digest(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
