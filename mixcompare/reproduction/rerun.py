"""Fit a report's models anew and hold the numbers against those it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare import datasets
from mixcompare.backends import fit
from mixcompare.comparison import Comparison, Thresholds, compare
from mixcompare.errors import DataError, OptionError
from mixcompare.fit import Fit
from mixcompare.panel import Panel, build_panel
from mixcompare.reproduction.carried import read_record
from mixcompare.reproduction.numbers import agreement, digests, from_records, numbers
from mixcompare.spec import MixtureSpec

_NAMES: Final = {"em": "EM", "pymc": "PyMC"}


@dataclass(frozen=True, slots=True, eq=False)
class Reproduced:
    """What new fits say of a report.

    Attributes
    ----------
    numbers
        Number by number, as `mixcompare.reproduction.numbers.agreement` gives it.
    same_setting
        Whether versions of the libraries and kind of processor are those of the report.
    same_draws
        Whether every draw of every posterior is the same to the bit.
    verdicts
        Sections whose verdict is another one now: section, reported, again.
    comparison
        The new comparison.
    """

    numbers: pd.DataFrame
    same_setting: bool
    same_draws: bool
    verdicts: pd.DataFrame
    comparison: Comparison

    @property
    def agrees(self) -> bool:
        """Every number agrees, and so does every draw where versions and processor are the same."""
        return bool(self.numbers["agrees"].all()) and (self.same_draws or not self.same_setting)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings in words."""
        said = []
        for source in dict.fromkeys(self.numbers["source"]):
            own = self.numbers[self.numbers["source"] == source]
            name = _NAMES.get(source, source)
            off = own[~own["agrees"]]
            most = f"; the first is {off['quantity'].iloc[0]}" if len(off) else ""
            said.append(f"{name}: {len(own) - len(off)} of {len(own)} numbers agree{most}.")
        setting = "the same" if self.same_setting else "others than the report's"
        draws = "the same to the bit" if self.same_draws else "not the same"
        said.append(f"Versions and processor are {setting}; the draws are {draws}.")
        said += [
            f"The verdict on {row.section} was {row.reported} and is {row.again} now."
            for row in self.verdicts.itertuples()
        ]
        return tuple(said)


def reproduce(report: str | Path, data: Any = None, *, progress: bool | None = None) -> Reproduced:
    """Fit again what a report shows, from what its page carries, and compare the numbers.

    Parameters
    ----------
    report
        A ``report.html``.
    data
        The table, or its file; not needed where the data are a panel that ships with
        mixcompare.
    progress
        Whether the backends show their progress; None leaves it to them.

    Raises
    ------
    DataError
        If the page carries no record, data are needed, or they are not the report's.
    OptionError
        If EM was started from a point of the user's own, which the page does not carry.
    """
    record = read_record(report)
    spec = MixtureSpec.from_dict(record["specification"])
    panel = build_panel(spec, _data(record, data), missing=_missing(record))
    expected = record["data"]["fingerprint_sha256"]
    if panel.fingerprint != expected:
        raise DataError(
            f"the data are not those of {report}: their fingerprint is {panel.fingerprint[:12]}…, "
            f"the report's {expected[:12]}…. Give the table that was fitted, unchanged."
        )
    made = {
        name: _fit(recorded, spec, panel, progress) for name, recorded in record["fits"].items()
    }
    again = compare(*made.values(), thresholds=_thresholds(record))
    for name, recorded in record["models"].items():
        own = MixtureSpec.from_dict(recorded["specification"])
        table = build_panel(own, _data(record, data), missing=_missing(record))
        made[name] = _fit(recorded, own, table, progress)
    now = {name: {"versions": fit.versions, "machine": fit.machine} for name, fit in made.items()}
    return Reproduced(
        agreement(from_records(record["numbers"]), numbers(made)),
        _setting(record["fits"] | record["models"]) == _setting(now),
        digests(made) == record["draws_sha256"],
        _changed(record["verdicts"], again),
        again,
    )


def _data(record: Mapping[str, Any], data: Any) -> Any:
    if data is not None:
        return data
    source = record["data"]
    if source["panel"] is not None:
        return datasets.load(source["panel"])
    was = f"the file {source['file']}" if source["file"] else "a table in memory"
    raise DataError(
        f"the report was made from {was}, which it does not carry: name the data, as in "
        "`mixcompare reproduce report.html --data FILE`."
    )


def _thresholds(record: Mapping[str, Any]) -> Thresholds:
    limits: dict[str, Any] = {name: float(text) for name, text in record["thresholds"].items()}
    return Thresholds(**limits)


def _missing(record: Mapping[str, Any]) -> Any:
    return "drop" if record["data"]["dropped"]["rows"] else "error"


def _fit(
    recorded: Mapping[str, Any], spec: MixtureSpec, panel: Panel, progress: bool | None
) -> Fit:
    options = {name: value for name, value in recorded["options"].items() if name != "progress"}
    if options.get("initial") is not None:
        raise OptionError(
            "the report cannot be made again: EM was started from a point of the user's own "
            f"(initial = {options['initial']}), which the page does not carry."
        )
    seed = int(recorded["seed"])
    backend = recorded["backend"]
    return fit(spec, panel, backend=backend, seed=seed, progress=progress, **options)


def _setting(fits: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return [(made["versions"], made["machine"]) for made in fits.values()]


def _changed(reported: Mapping[str, str], again: Comparison) -> pd.DataFrame:
    now = dict(zip(again.verdicts["section"], again.verdicts["verdict"], strict=True))
    rows = [
        (section, reported.get(section, "absent"), now.get(section, "absent"))
        for section in dict.fromkeys((*reported, *now))
        if reported.get(section) != now.get(section)
    ]
    return pd.DataFrame(rows, columns=["section", "reported", "again"])
