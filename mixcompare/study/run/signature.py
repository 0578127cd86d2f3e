"""What a study's results depend on, part by part, so that a change is noticed and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from mixcompare.base.errors import OptionError
from mixcompare.fits.environment import versions
from mixcompare.study.file.custom import source_of
from mixcompare.study.file.load import Study
from mixcompare.study.file.reading import fingerprint
from mixcompare.study.run.store import Store

_VERSIONS: Final = "versions"
_SOURCES: Final = "mixcompare's source"
# Of files or versions in a message.
_LISTED: Final = 5
_PACKAGE: Final = Path(__file__).parent.parent.parent
# Packages that look at finished fits, or move tasks about, do not change their numbers.
_APART: Final = (
    *("auditing", "checking", "cli", "comparison", "pages", "prediction", "report"),
    *("reproduction", "selection", "study/measures", "study/report", "study/run"),
)


@cache
def sources() -> dict[str, str]:
    """SHA-256 of each of this package's files that a fit's numbers may depend on."""
    files = {path.relative_to(_PACKAGE).as_posix(): path for path in _PACKAGE.rglob("*.py")}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(files.items())
        if not name.startswith(tuple(f"{package}/" for package in _APART))
    }


def signature(study: Study, seed: int, options: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """SHA-256 by part: methods, scenarios' mechanisms, data, seed, estimands, versions, sources.

    The source of a mechanism of the user's own is the file that defines its function; what that
    file imports is not looked at.

    Number of replicates, workers, time limit and report are not among them: changing those
    leaves the tasks that are finished as they are.

    Parameters
    ----------
    study, seed, options
        As in `mixcompare.study.task.task.Job`.
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
        if tables.simulate is not None and tables.simulate.generator is not None:
            reference = tables.simulate.generator
            file, digest = source_of(reference)
            parts[f"the source of {reference!r} ({file})"] = digest
    if study.tables.data is not None:
        parts["the data"] = fingerprint(study.read_data())
    parts[_VERSIONS] = versions()
    parts[_SOURCES] = sources()
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
    changed = changes(store, current)
    if changed and not keep:
        raise OptionError(
            f"{store.path} holds results of another study: changed since are {', '.join(changed)}. "
            "Keep the finished tasks and run the rest as it is now with --keep, forget them with "
            "--discard, or choose another --output."
        )
    store.set("signature", json.dumps({**_stored(store), **current}))
    store.set("versions", json.dumps(versions()))
    store.set("sources", json.dumps(sources()))


def changes(store: Store, current: Mapping[str, str]) -> list[str]:
    """Parts that differ from what the store's results were made with, in words.

    Parameters
    ----------
    current
        From `signature`.
    """
    stored = _stored(store)
    names = [name for name, value in current.items() if stored.get(name, value) != value]
    return [f"{name}{_details(store, name)}" for name in names]


def _stored(store: Store) -> dict[str, str]:
    stored: dict[str, str] = json.loads(store.get("signature") or "{}")
    return stored


def _details(store: Store, part: str) -> str:
    """Which versions and which files have changed, in brackets; nothing for other parts."""
    if part == _VERSIONS:
        before, now = _differing(store, "versions", versions())
        changes = [
            f"{n} {before.get(n, 'none')} -> {now.get(n, 'none')}" for n in {**before, **now}
        ]
    elif part == _SOURCES:
        before, now = _differing(store, "sources", sources())
        changes = list({**before, **now})
    else:
        return ""
    more = f" and {len(changes) - _LISTED} more" if len(changes) > _LISTED else ""
    return f" ({', '.join(sorted(changes)[:_LISTED])}{more})"


def _differing(
    store: Store, key: str, now: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """What differs of an entry of the store and of what there is now."""
    before: dict[str, str] = json.loads(store.get(key) or "{}")
    return dict(before.items() - now.items()), dict(now.items() - before.items())
