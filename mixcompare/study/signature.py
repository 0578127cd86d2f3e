"""What a study's results depend on, part by part, so that a change is noticed and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mixcompare.errors import OptionError
from mixcompare.fit import versions
from mixcompare.study.load import Study, fingerprint
from mixcompare.study.store import Store


def signature(study: Study, seed: int, options: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """SHA-256 by part: each method, each scenario's mechanism, data, seed, estimands, versions.

    Number of replicates, workers, time limit and report are not among them: changing those
    leaves the tasks that are finished as they are.

    Parameters
    ----------
    study, seed, options
        As in `mixcompare.study.task.Job`.
    """
    parts: dict[str, Any] = {"[run] seed": seed}
    for name, method in study.tables.methods.items():
        plain = method.model_dump(exclude={"replicates"})
        parts[f"[methods.{name}]"] = {**plain, **options.get(method.backend, {})}
    parts["[estimands]"] = study.tables.estimands.parameters
    for scenario in study.scenarios:
        tables = scenario.tables
        parts[f"scenario {scenario.label}"] = {
            "model": scenario.spec.to_dict(),
            "simulate": tables.simulate and tables.simulate.model_dump(),
            "data": tables.data and tables.data.model_dump(),
        }
    if study.tables.data is not None:
        parts["the data"] = fingerprint(study.read_data())
    parts["versions"] = versions()
    return {name: _hash(part) for name, part in parts.items()}


def _hash(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=str).encode()).hexdigest()


def check_unchanged(store: Store, current: Mapping[str, str], *, keep: bool) -> None:
    """Compare with what the store's results were made with, and note what is new.

    Parameters
    ----------
    store
        The study's store.
    current
        From `signature`. Methods and scenarios that are new, or no longer there, are no change.
    keep
        Whether finished tasks are kept although something has changed.

    Raises
    ------
    OptionError
        If something has changed and is not to be kept: what, and what can be done.
    """
    stored: dict[str, str] = json.loads(store.get("signature") or "{}")
    changed = [name for name, value in current.items() if stored.get(name, value) != value]
    if changed and not keep:
        made = f" ({_version_changes(store)})" if "versions" in changed else ""
        raise OptionError(
            f"{store.path} holds results of another study: changed since are "
            f"{', '.join(changed)}{made}. Keep the finished tasks and run the rest as it is now "
            "with --keep, forget them with --discard, or choose another --output."
        )
    store.set("signature", json.dumps({**stored, **current}))
    store.set("versions", json.dumps(versions()))


def _version_changes(store: Store) -> str:
    before: dict[str, str] = json.loads(store.get("versions") or "{}")
    now = versions()
    return ", ".join(
        f"{name} {before.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
