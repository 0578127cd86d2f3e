"""From a study file, or the same tables in Python, to a checked study."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from mixcompare.base.errors import MixCompareError, OptionError
from mixcompare.data.panel import identifiers
from mixcompare.fits.kinds import DRAWN
from mixcompare.model.spec import SPEC_KEYS, MixtureSpec, Priors
from mixcompare.reproduction.origin import Origin
from mixcompare.study.file.custom import is_shipped
from mixcompare.study.file.grid import LABEL, combinations, n_combinations, scenario_label
from mixcompare.study.file.methods import Method, allowed_options, build_method, without
from mixcompare.study.file.reading import read_data, read_study
from mixcompare.study.file.schema import MethodTable, ModelTable, StudyTables
from mixcompare.study.file.select_table import check_choice
from mixcompare.study.file.slips import at_line, explain, unknown_keys

_GRID_ROOTS = ("simulate", "model")
# Each is checked and its first data set is made before the first fit.
_MOST_SCENARIOS = 10_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """One combination of the grid's levels.

    Attributes
    ----------
    label
        ``units=50, separation=1``, or ``all`` without a grid; names it in the store.
    factors
        Level by factor.
    tables
        The study's tables with these levels.
    spec
        The model.
    """

    label: str
    factors: Mapping[str, Any]
    tables: StudyTables
    spec: MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A study that has been read and checked.

    Attributes
    ----------
    path
        The file; None for tables given in Python.
    text
        Its content as it was read, for the copy beside the report.
    content
        The tables as they were given.
    tables
        The checked tables.
    spec
        The model, without the grid's changes.
    methods
        By name, in the file's order.
    scenarios
        In the grid's order.
    trust
        Whether its formulas may hold any Python, and its file name functions that run.
    """

    path: Path | None
    text: str
    content: Mapping[str, Any]
    tables: StudyTables
    spec: MixtureSpec
    methods: Mapping[str, Method]
    scenarios: tuple[Scenario, ...]
    trust: bool = False

    @property
    def name(self) -> str:
        """The study's name."""
        return self.tables.study.name

    @property
    def output(self) -> Path:
        """Folder of the report: ``[report] output``, or ``reports/`` and the study's name."""
        given = self.tables.report.output
        return Path("reports", self.name) if given is None else Path(given)

    @property
    def origin(self) -> Origin:
        """What the report of a real panel carries, so that it can be made again."""
        data = self.tables.data
        if data is None:
            return Origin(self.text)
        file = data.loader if data.file is None else Path(data.file).name
        return Origin(self.text, data.panel, file)

    @property
    def is_real(self) -> bool:
        """Whether it fits a real panel as it is, so that there is no truth to compare with."""
        data = self.tables.data
        return self.tables.simulate is None and data is not None and data.resample == "no"

    def read_data(self) -> pd.DataFrame:
        """Load the panel, read the file or call the loader.

        Raises
        ------
        DataError
            If the file cannot be read or the panel's package is not installed.
        OptionError
            As `check_functions`.
        """
        assert self.tables.data is not None
        self.check_functions()
        return read_data(self.tables.data, self.path, identifiers(self.spec))

    def check_functions(self) -> None:
        """Refuse to run functions that a file names which is not trusted.

        Tables given in Python may name functions: whoever gives them runs Python already.

        Raises
        ------
        OptionError
            It names the function.
        """
        for scenario in () if self.trust or self.path is None else self.scenarios:
            data, mechanism = scenario.tables.data, scenario.tables.simulate
            loader = None if data is None else data.loader
            generator = None if mechanism is None else mechanism.generator
            named = {"[data] loader": loader, "[simulate] generator": generator}
            for key, reference in named.items():
                if reference is not None and not is_shipped(reference):
                    raise OptionError(
                        f"{self.path}: {key} = {reference!r} names a function, which would run "
                        "with all that it does. If you trust whoever wrote it, say so: "
                        "trust=True, or --trust at the prompt."
                    )


def load_study(path: str | Path, *, trust: bool = False, yes: bool = False) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path
        The file.
    trust
        Whether its formulas may hold any Python, and the functions that it names (loader,
        generator) may run.
    yes
        Whether a grid of more than 10,000 scenarios is meant.

    Raises
    ------
    OptionError
        If the file cannot be read, is not TOML, or holds an unknown key or a value that
        is not allowed; the message names the file, the line, the key, the value and what is
        allowed.

    Examples
    --------
    >>> import mixcompare as mc
    >>> mc.load_study("studies/gapminder.toml").name  # doctest: +SKIP
    'gapminder'
    """
    path = Path(path)
    text, content = read_study(path)
    return build_study(content, path=path, text=text, trust=trust, yes=yes)


def build_study(
    content: Mapping[str, Any],
    *,
    path: Path | None = None,
    text: str = "",
    trust: bool = False,
    yes: bool = False,
) -> Study:
    """Check a study's tables, given as nested mappings as in a study file.

    Parameters
    ----------
    content
        Tables by name.
    path, text
        The file that they come from and its text, for messages.
    trust
        Whether formulas may hold any Python; where the tables come from a file, whether the
        functions that it names may run, too.
    yes
        As for `load_study`.

    Raises
    ------
    OptionError
        As `load_study`.

    Examples
    --------
    >>> import mixcompare as mc
    >>> model = {"formula": "lifeExp ~ t", "unit": "country", "n_components": 2}
    >>> data, em = {"panel": "gapminder"}, {"backend": "em", "starts": 5}
    >>> tables = {"study": {"name": "trends"}, "data": data, "model": model}
    >>> list(mc.build_study({**tables, "methods": {"em": em}}).methods)
    ['em']
    """
    source = _Source(str(path or "study"), text, trust)
    tables = source.validate(content)
    spec = source.spec(tables.model)
    methods = {name: source.method(name, table) for name, table in tables.methods.items()}
    if not yes:
        source.check_size(tables)
    scenarios = _scenarios(source, content, tables, spec)
    study = Study(path, text, content, tables, spec, methods, scenarios, trust)
    source.check_consistent(study)
    return study


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a study comes from, for its errors."""

    name: str
    text: str
    trust: bool

    def fail(self, location: Sequence[str], message: str) -> OptionError:
        return OptionError(f"{self.name}: {at_line(self.text, location, message)}")

    def validate(self, content: Mapping[str, Any], where: str = "") -> StudyTables:
        try:
            return StudyTables.model_validate(content)
        except ValidationError as error:
            problems = [explain(detail, self.text, StudyTables) for detail in error.errors()]
            model = content.get("model")
            if isinstance(model, Mapping):
                problems += unknown_keys(self.text, ["model"], model, SPEC_KEYS)
            raise OptionError(f"{self.name}: {where}{'; '.join(problems)}.") from error

    def check_size(self, tables: StudyTables) -> None:
        count = n_combinations(tables.grid)
        if count > _MOST_SCENARIOS:
            raise self.fail(
                ["grid"],
                f"[grid] makes {count:,} scenarios, and the limit is {_MOST_SCENARIOS:,}. Cross "
                "fewer levels, or go on all the same with --yes (yes=True in Python).",
            )

    def check_keys(self, location: Sequence[str], given: Any, allowed: Sequence[str]) -> None:
        problems = unknown_keys(self.text, location, given, allowed)
        if problems:
            raise OptionError(f"{self.name}: {'; '.join(problems)}.")

    @contextmanager
    def stated_at(
        self,
        location: Sequence[str],
        words: str,
        errors: tuple[type[Exception], ...] = (MixCompareError,),
    ) -> Iterator[None]:
        """Say of an error which words of the file it is about."""
        try:
            yield
        except errors as error:
            raise self.fail(location, f"{words} {error}") from error

    def spec(self, model: ModelTable) -> MixtureSpec:
        self.check_keys(["model"], model.further, SPEC_KEYS)
        priors = model.further.get("priors", {})
        if isinstance(priors, Mapping):
            self.check_keys(["model", "priors"], priors, [f.name for f in fields(Priors)])
        with self.stated_at(["model"], "[model]"):
            return MixtureSpec.from_dict(without(model.model_dump()), trust=self.trust)

    def method(self, name: str, table: MethodTable) -> Method:
        place, key = ["methods", name], f"[methods.{name}]"
        with self.stated_at([*place, "backend"], f"{key} backend:"):
            options = allowed_options(table.backend)
        declared = list(MethodTable.model_fields)
        self.check_keys(place, table.further, [*declared[:1], *options, *declared[1:], *SPEC_KEYS])
        boot = table.bootstrap
        built = build_method(
            table.backend,
            table.further,
            within=table.transform == "within",
            bootstrap=None if boot is None else (boot.replicates, boot.kind),
            choose=tuple(table.choose_components or ()),
            replicates=table.replicates,
        )
        with self.stated_at(place, key, (MixCompareError, TypeError)):
            built.check()
        return built

    def check_consistent(self, study: Study) -> None:
        for name, method in study.methods.items():
            for scenario in study.scenarios:
                with self.stated_at(["methods", name], f"[methods.{name}]"):
                    method.spec(scenario.spec)
        for scenario in study.scenarios:
            mechanism = scenario.tables.simulate
            if mechanism is not None and mechanism.formula is not None:
                with self.stated_at(["simulate", "formula"], "[simulate]"):
                    scenario.spec.but(formula=mechanism.formula)
        if study.tables.select is not None:
            with self.stated_at(["select"], "[select]"):
                _check_real_comparison(study)
                check_choice(study.tables.select, study.methods)
        self._check_checklist(study.tables.checklist)
        baseline = study.tables.report.baseline
        if baseline is not None and baseline not in study.methods:
            raise self.fail(
                ["report", "baseline"],
                f"[report] baseline = {baseline!r}: must be one of {', '.join(study.methods)}.",
            )

    def _check_checklist(self, answers: Mapping[str, str]) -> None:
        if not answers:
            return
        from mixcompare.report.checklists import check_answers  # it brings the whole report

        for key in answers:
            with self.stated_at(["checklist", key], "[checklist]"):
                check_answers({key: answers[key]})


def _check_real_comparison(study: Study) -> None:
    drawn = {method.kind in DRAWN for method in study.methods.values()}
    if not study.is_real or len(study.scenarios) > 1 or drawn != {True, False}:
        raise OptionError(
            "belongs to the comparison of EM and PyMC on a real panel: it needs [data] without "
            "[simulate], resample and [grid], and methods of both backends."
        )


def _scenarios(
    source: _Source, content: Mapping[str, Any], tables: StudyTables, spec: MixtureSpec
) -> tuple[Scenario, ...]:
    cells = combinations(tables.grid)
    if cells == [{}]:
        return (Scenario("all", {}, tables, spec),)
    names = _factor_names(source, cells)
    scenarios = []
    for combination in cells:
        given = combination.pop(LABEL, None)
        if not isinstance(given, str | None):
            raise source.fail(["grid", "listed"], f"[grid] label = {given!r}: must be a text.")
        levels = {names[key]: value for key, value in combination.items()}
        crossed = {names[key]: combination[key] for key in tables.grid.crossed}
        label = scenario_label(levels if given is None else crossed, given)
        changed = copy.deepcopy(dict(content))
        for key, value in combination.items():
            _put(source, changed, key, value)
        tables_of_cell = source.validate(changed, f"[grid] {label}: ")
        scenarios.append(Scenario(label, levels, tables_of_cell, source.spec(tables_of_cell.model)))
    repeated = sorted(n for n, count in Counter(s.label for s in scenarios).items() if count > 1)
    if repeated:
        raise source.fail(["grid", "crossed"], f"[grid] has {repeated[0]!r} more than once.")
    return tuple(scenarios)


def _factor_names(source: _Source, combinations: list[dict[str, Any]]) -> dict[str, str]:
    """Short names of the dotted keys: the last part, or all of it where that is not unique."""
    keys = list(dict.fromkeys(itertools.chain.from_iterable(combinations)))
    keys = [key for key in keys if key != LABEL]
    for key in keys:
        root = key.split(".", maxsplit=1)[0]
        if "." not in key or root not in _GRID_ROOTS:
            raise source.fail(
                ["grid", "crossed", key],
                f"[grid] has the factor {key!r}; allowed are keys of [simulate] and [model], "
                "such as 'simulate.units' or 'model.n_components'.",
            )
    last = [key.rsplit(".", maxsplit=1)[-1] for key in keys]
    return {
        key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)
    }


def _put(source: _Source, content: dict[str, Any], key: str, value: Any) -> None:
    *tables, name = key.split(".")
    place = content
    for table in tables:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            message = f"[grid] factor {key!r}: {table!r} is not a table."
            raise source.fail(["grid", "crossed", key], message)
    place[name] = value
