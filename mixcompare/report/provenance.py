"""Where the numbers come from: enough to make them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.comparison.calls import Name, arguments, fit_code, spec_code
from mixcompare.fits.fit import Fit
from mixcompare.reproduction.numbers import digests, numbers, recorded_fits, to_records
from mixcompare.reproduction.origin import Origin
from mixcompare.reproduction.selected import choice_numbers, choice_record, posteriors
from mixcompare.selection import Selection

_NO_ORIGIN = Origin()
FITS = {"em": "em.nc", "pymc": "pymc.nc"}


def provenance(
    comparison: Comparison,
    origin: Origin = _NO_ORIGIN,
    models: Mapping[str, Fit] | None = None,
    selection: Selection | None = None,
) -> dict[str, Any]:
    """Specification, data, options, seeds, versions and times of each fit, and its numbers.

    Parameters
    ----------
    comparison, origin
        What is reported, and where it came from.
    models
        Fits of other specifications that the report shows, by name.
    selection
        The choice of K that it shows.
    """
    em = comparison.em
    further = models or {}
    fits = recorded_fits(comparison)
    recorded, sampled = numbers({**fits, **further}), {**fits, **further}
    if selection is not None:
        recorded = pd.concat([recorded, choice_numbers(selection)], ignore_index=True)
        sampled |= posteriors(selection)
    return {
        "specification": em.spec.to_dict(),
        "specification_sha256": em.spec.content_hash,
        "study": origin.study,
        "quick": origin.quick,
        "data": _data(em, origin),
        "fits": {name: _fit(fit) for name, fit in fits.items()},
        "models": {
            name: {"specification": fit.spec.to_dict(), **_fit(fit)}
            for name, fit in further.items()
        },
        "thresholds": dict(comparison.thresholds.table().itertuples(index=False)),
        "verdicts": dict(comparison.verdicts[["section", "verdict"]].itertuples(index=False)),
        "selection": None if selection is None else choice_record(selection),
        "numbers": to_records(recorded),
        "draws_sha256": digests(sampled),
        "restart": None if comparison.restart is None else _fit(comparison.restart),
        "report_created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _data(em: Fit, origin: Origin) -> dict[str, Any]:
    panel = em.panel
    per_unit = np.bincount(panel.unit, minlength=panel.n_units)
    return {
        "panel": origin.panel,
        "file": origin.file,
        "fingerprint_sha256": em.fingerprint,
        "rows": panel.n_rows,
        "units": panel.n_units,
        "rows_per_unit": {"min": int(per_unit.min()), "max": int(per_unit.max())},
        "outcomes": list(panel.outcome_names),
        "covariates": list(panel.covariate_names),
        "absorbed_cells": None if panel.cell is None else int(panel.cell.max()) + 1,
        "dropped": {
            "rows": panel.dropped.rows,
            "units": panel.dropped.units,
            "missing_by_column": dict(panel.dropped.by_column),
        },
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "backend": fit.backend,
        "status": fit.status,
        "message": fit.message,
        "log_likelihood": fit.log_likelihood,
        "seed": fit.seed,
        "options": fit.options,
        "seconds": fit.seconds,
        "created": str(fit.tree.attrs["created"]),
        "versions": fit.versions,
        "machine": fit.machine,
    }


def to_json(record: dict[str, Any]) -> str:
    """The record as text; a number that JSON lacks, such as an infinity, becomes a string."""
    return json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def code_again(
    comparison: Comparison, models: Sequence[Fit] = (), asked: Mapping[str, Any] | None = None
) -> str:
    """Python that repeats the fits, the comparison, the fits of other models and the choice of K.

    Parameters
    ----------
    asked
        The arguments of `mixcompare.select`; None where no K was chosen.
    """
    named = recorded_fits(comparison)
    fits = {f"fit_{i}" if i > 2 else name: fit for i, (name, fit) in enumerate(named.items(), 1)}
    names = ", ".join(f"model_{i}" for i in range(1, len(models) + 1))
    further = [f"models=[{names}]"] if models else []
    missing = {"missing": "drop"} if comparison.em.panel.dropped.rows else {}
    if asked is not None:
        further.append("selection=selection")
        choice = [f"selection = mc.select(spec, data, {arguments({**asked, **missing})})"]
    else:
        choice = []
    lines = [
        "import mixcompare as mc",
        "",
        f"spec = {spec_code(comparison.em.spec)}",
        "data = ...  # the table, or the path of its CSV or Parquet file",
        *(_fit_code(name, fit) for name, fit in fits.items()),
        f"comparison = mc.compare({', '.join(fits)})",
        *(_fit_code(f"model_{i}", fit, spec_code(fit.spec)) for i, fit in enumerate(models, 1)),
        *choice,
        f"mc.write_report({', '.join(['comparison', '...', *further])})  # ...: its folder",
    ]
    return "\n".join(lines)


def code_reload(saved: tuple[str, ...], *, trust: bool) -> str:
    """Python that loads the fits again, from files beside the report if there are any.

    Parameters
    ----------
    saved
        Their files' names.
    trust
        Whether their formulas need it.
    """
    names = saved if len(saved) == 2 else tuple(FITS.values())
    note = "" if len(saved) == 2 else "  # written before by fit.save(...)"
    loads = ", ".join(f'mc.load("{name}"{", trust=True" * trust})' for name in names)
    return f"import mixcompare as mc\n\ncomparison = mc.compare({loads}){note}"


def _fit_code(name: str, fit: Fit, spec: str = "spec") -> str:
    options = {k: v for k, v in fit.options.items() if v is not None and k != "progress"}
    if "initial" in options:
        # It is stored as text only, from which it cannot be built again.
        options["initial"] = Name("...")
    return fit_code(name, fit, options, spec)
