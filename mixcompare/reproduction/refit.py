"""Fit a report's models anew and hold the numbers against those it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare import datasets
from mixcompare.backends import build_options, fit
from mixcompare.base.errors import DataError, MixCompareError, OptionError
from mixcompare.comparison import Comparison, Thresholds, compare
from mixcompare.data.panel import Panel, build_panel
from mixcompare.fits.fit import Fit
from mixcompare.model.spec import MixtureSpec
from mixcompare.reproduction.carried import changed_parts, read_record
from mixcompare.reproduction.numbers import agreement, digests, from_records, numbers
from mixcompare.reproduction.selected import (
    SOURCE,
    check_asked,
    choice_numbers,
    choice_record,
    choose_again,
    posteriors,
)
from mixcompare.selection import Selection
from mixcompare.selection.criteria_table import CRITERIA

_NEEDED: Final = itemgetter("data", "selection", "verdicts", "draws_sha256")
# Earlier versions said of one program, too, that it agrees.
_ONE_SIDED: Final = ("agree", "ok")
_NAMES: Final = {"em": "EM", "pymc": "PyMC", SOURCE: "Choice of K"}


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
        What is concluded otherwise now, a section's verdict or the number of classes that a
        criterion chooses: section, reported, again.
    comparison
        The new comparison.
    selection
        The new choice of K; None if the report has none.
    changed
        Tables and other parts that the page shows otherwise than when it was written; None if
        its record does not say, as those of earlier versions do not.
    """

    numbers: pd.DataFrame
    same_setting: bool
    same_draws: bool
    verdicts: pd.DataFrame
    comparison: Comparison
    selection: Selection | None
    changed: tuple[str, ...] | None = ()

    @property
    def agrees(self) -> bool:
        """Every number agrees, and so does every draw where versions and processor are the same.

        The page must show what it was written with.
        """
        same = self.same_draws or not self.same_setting
        return bool(self.numbers["agrees"].all()) and same and not self.changed

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings in words."""
        said = []
        for source in dict.fromkeys(self.numbers["source"]):
            of_source = self.numbers[self.numbers["source"] == source]
            name = _NAMES.get(source, source)
            off = of_source[~of_source["agrees"]]
            most = f"; the first is {off['quantity'].iloc[0]}" if len(off) else ""
            said.append(
                f"{name}: {len(of_source) - len(off)} of {len(of_source)} numbers agree{most}."
            )
        setting = "the same" if self.same_setting else "others than the report's"
        draws = "the same to the bit" if self.same_draws else "not the same"
        said.append(f"Versions and processor are {setting}; the draws are {draws}.")
        if self.changed is None:
            said.append(
                "The page does not say what it showed when it was written, as an earlier version "
                "made it: only its record was tried."
            )
        elif self.changed:
            said.append(
                "The page was CHANGED after it was written, and what is seen there need not be "
                f"what was found: {', '.join(self.changed)}."
            )
        said += [
            f"The verdict on {row.section} was {row.reported} and is {row.again} now."
            for row in self.verdicts.itertuples()
        ]
        return tuple(said)


def reproduce(
    report: str | Path,
    data: Any = None,
    *,
    workers: int = 1,
    progress: bool | None = None,
    trust: bool = False,
) -> Reproduced:
    """Fit again what a report shows, from what its page carries, and compare the numbers.

    Parameters
    ----------
    report
        A ``report.html``.
    data
        The table, or its file; not needed where the data are a panel that ships with
        mixcompare.
    workers
        Processes that share the tests of a choice of K, see `mixcompare.select`; the numbers
        do not depend on it.
    progress
        Whether the backends show their progress; None leaves it to them, save in a choice of
        K, which then shows none.
    trust
        Whether the page's formulas may hold any Python, which then runs.

    Raises
    ------
    DataError
        If the page carries no record or one that lacks something, data are needed, or they are
        not the report's.
    SpecificationError
        If a formula of the page holds Python that formulas may not hold.
    OptionError
        If EM was started from a point of the user's own, which the page does not carry, or an
        option of a backend is unknown.

    Examples
    --------
    Of a report that ``mixcompare run studies/gapminder.toml`` has written:

    >>> import mixcompare as mc
    >>> mc.reproduce("reports/gapminder/report.html").agrees  # doctest: +SKIP
    True
    """
    record = read_record(report)
    spec, models = _checked(record, report, trust=trust)
    table = _data(record, data)
    panel = build_panel(spec, table, missing=_missing(record))
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
    for name, other_spec in models.items():
        rows = build_panel(other_spec, table, missing=_missing(record))
        made[name] = _fit(record["models"][name], other_spec, rows, progress)
    selection, choice = None, record["selection"]
    if choice is not None:
        selection = choose_again(choice, spec, panel, workers=workers, progress=bool(progress))
    reproduced = _compared(record, made, again, selection)
    return replace(reproduced, changed=changed_parts(report, record))


def _checked(
    record: Mapping[str, Any], report: str | Path, *, trust: bool
) -> tuple[MixtureSpec, dict[str, MixtureSpec]]:
    """The page's specification and those of its further models, once all can be fitted."""
    try:
        spec = MixtureSpec.from_dict(record["specification"], trust=trust)
        models = {
            name: MixtureSpec.from_dict(recorded["specification"], trust=trust)
            for name, recorded in record["models"].items()
        }
        for recorded in (*record["fits"].values(), *record["models"].values()):
            build_options(recorded["backend"], _options(recorded))
            int(recorded["seed"])
        _thresholds(record)
        _missing(record)
        from_records(record["numbers"])
        _NEEDED(record)
        if record["selection"] is not None:
            check_asked(record["selection"])
    except MixCompareError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"is damaged ({error})"
        raise DataError(
            f"the record in {report} {what}: another version of mixcompare has written it, or it "
            "was changed. Make the report again from its study and data."
        ) from error
    return spec, models


def _compared(
    record: Mapping[str, Any],
    made: Mapping[str, Fit],
    again: Comparison,
    selection: Selection | None,
) -> Reproduced:
    new_numbers, fits = numbers(made), dict(made)
    before = [*record["fits"].values(), *record["models"].values()]
    now = [{"versions": fit.versions, "machine": fit.machine} for fit in made.values()]
    concluded = dict(zip(again.verdicts["section"], again.verdicts["verdict"], strict=True))
    reported = dict(record["verdicts"])
    if selection is not None:
        new_numbers = pd.concat([new_numbers, choice_numbers(selection)], ignore_index=True)
        fits |= posteriors(selection)
        before.append(record["selection"])
        now.append(choice_record(selection))
        reported |= _choices(record["selection"])
        concluded |= _choices(now[-1])
    return Reproduced(
        agreement(from_records(record["numbers"]), new_numbers),
        _setting(before) == _setting(now),
        digests(fits) == record["draws_sha256"],
        _changed(reported, concluded),
        again,
        selection,
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
    backend, seed = recorded["backend"], int(recorded["seed"])
    return fit(spec, panel, backend=backend, seed=seed, progress=progress, **_options(recorded))


def _options(recorded: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in recorded["options"].items() if name != "progress"}
    if options.get("initial") is not None:
        raise OptionError(
            "the report cannot be made again: EM was started from a point of the user's own "
            f"(initial = {options['initial']}), which the page does not carry."
        )
    return options


def _setting(fits: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    return [(made["versions"], made["machine"]) for made in fits]


def _choices(choice: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"the number of classes by {CRITERIA[name].title}": str(k)
        for name, k in choice["choices"].items()
    }


def _changed(reported: Mapping[str, str], now: Mapping[str, str]) -> pd.DataFrame:
    rows = [
        (section, reported.get(section, "absent"), now.get(section, "absent"))
        for section in dict.fromkeys((*reported, *now))
        if reported.get(section) != now.get(section)
        and (reported.get(section), now.get(section)) != _ONE_SIDED
    ]
    return pd.DataFrame(rows, columns=["section", "reported", "again"])
