"""``[select]`` of a study file, as arguments of `mixcompare.select`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mixcompare.base.machine import check_workers
from mixcompare.selection import check_arguments
from mixcompare.study.file.methods import Method
from mixcompare.study.file.schema import SelectTable

_QUICK_REPLICATES: Final = 9


def check_choice(table: SelectTable, methods: Mapping[str, Method]) -> None:
    """Refuse a table ``[select]`` with a value that is not allowed.

    Raises
    ------
    OptionError
        As `mixcompare.select`.
    """
    asked = select_arguments(table, methods, {})
    check_workers(table.workers)
    check_arguments(
        asked.pop("n_components"),
        asked.pop("replicates"),
        asked.pop("replicate_starts"),
        asked.pop("posterior"),
        asked.pop("sampling"),
        asked,
    )


def select_arguments(
    table: SelectTable, methods: Mapping[str, Method], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What `mixcompare.select` is called with, as far as its numbers depend on it."""
    plain = (m for m in methods.values() if m.kind == "maximum" and not m.changes)
    em_options = next((m.options for m in plain), {})
    em = {**em_options, **table.further, **options.get("em", {}), "progress": False}
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
