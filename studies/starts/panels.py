"""Where chains end on real panels, by how they start: do all of them find the best mode?

Runs every panel from every kind of start with every seed, writes ``reports/starts/panels.csv``
and prints the table of the tour. Fits that are in the file are not run again:

    python studies/starts/panels.py [--seeds 12] [--starts overdispersed search] [PANEL ...]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import mixcompare as mc
from mixcompare.fits.summary import convergence
from mixcompare.study.measures.modes import lowest_mean
from mixcompare.study.task.seeds import fit_seed

HERE = Path(__file__).parent
SAMPLING: dict[str, Any] = {"draws": 1000, "tune": 1000, "chains": 4, "progress": False}
KEYS = ["panel", "classes", "start", "seed"]


@dataclass(frozen=True)
class Case:
    """A model of a panel, and EM's options with the seed of its starts."""

    spec: mc.MixtureSpec
    data: pd.DataFrame
    em: dict[str, Any]

    @classmethod
    def of(cls, name: str, classes: int | None = None) -> Case:
        """As a study file of the tour has it, with as many classes."""
        study = mc.load_study(HERE.parent / f"{name}.toml")
        spec = study.spec if classes is None else study.spec.but(n_components=classes)
        seed = fit_seed(study.tables.run.seed, "all", 0, "em")
        return cls(spec, study.read_data(), {**study.methods["em"].options, "seed": seed})


def artists() -> Case:
    """80 artists in three countries and 40 weeks, in three classes that lie far apart.

    Streams follow spending on advertisements and places on playlists; each artist has a level in
    each country, and weeks have effects that all share.
    """
    rng = np.random.default_rng(7)
    elasticity = np.array([[0.05, 0.10], [0.25, 0.30], [0.60, 0.05]])
    spread = np.array([0.25, 0.35, 0.50])
    classes = rng.choice(3, 80, p=[0.5, 0.3, 0.2])
    artist, country, week = (each.ravel() for each in np.indices((80, 3, 40)))
    level = rng.normal(9, 1.2, 80)[:, None] + rng.normal(0, 0.8, (80, 3))
    spent = rng.normal(3 + 0.4 * (level[artist, country] - 9), 1.2).clip(0)
    spent *= rng.binomial(1, 0.8, len(week))
    listed = rng.binomial(1, 0.2, len(week))
    of_class = elasticity[classes[artist]]
    streams = level[artist, country] + rng.normal(0, 0.05, 40).cumsum()[week]
    streams += of_class[:, 0] * spent + of_class[:, 1] * listed
    streams += rng.normal(0, spread[classes[artist]])
    columns = {"artist": artist, "country": country, "week": week, "streams": streams}
    data = pd.DataFrame({**columns, "spent": spent, "listed": listed})
    spec = mc.MixtureSpec(
        "streams ~ spent + listed",
        unit="artist",
        absorb="artist:country",
        common="~ C(week)",
        n_components=3,
    )
    return Case(spec, data[rng.random(len(data)) >= 0.03], {"starts": 50, "seed": 1})


CASES: dict[tuple[str, int], Callable[[], Case]] = {
    **{("gapminder", k): partial(Case.of, "gapminder", k) for k in range(2, 7)},
    ("munnell", 2): partial(Case.of, "munnell"),
    ("airfare", 2): partial(Case.of, "airfare"),
    ("ricefarms", 2): partial(Case.of, "ricefarms"),
    ("billboard", 4): partial(Case.of, "billboard"),
    ("artists", 3): artists,
}


@cache
def found_by_em(panel: str, classes: int) -> tuple[Case, dict[str, float]]:
    """A case, EM's maximum, and the share of its starts that reach it."""
    case = CASES[panel, classes]()
    fit = mc.fit(case.spec, case.data, **case.em)
    share = float((fit.search.ends["optimum"] == 0).mean())
    return case, {"maximum": fit.log_likelihood, "share of starts": share}


def measured(panel: str, classes: int, start: str, seed: int) -> dict[str, Any]:
    """What one fit of the chains came to."""
    case, em = found_by_em(panel, classes)
    began, wall = time.process_time(), time.perf_counter()
    fit = mc.fit(case.spec, case.data, backend="pymc", init=start, seed=seed, **SAMPLING)
    # Processor time is of all threads, and other programs do not count.
    seconds, wall = time.process_time() - began, time.perf_counter() - wall
    by_draw = fit.log_likelihood_by_draw
    every = np.concatenate([fit.aligned_draws, by_draw[..., None]], axis=-1)
    return {
        **dict(zip(KEYS, (panel, classes, start, seed), strict=True)),
        **em,
        "parameters": fit.n_parameters,
        "highest draw": by_draw.max(),
        **{f"chain {i + 1}": mean for i, mean in enumerate(by_draw.mean(axis=1))},
        "r_hat": float(np.nanmax(convergence(every, ("r_hat",))["r_hat"])),
        "status": fit.status,
        "cautions": " ".join(fit.cautions),
        **_search(fit),
        "seconds": seconds,
        "wall": wall,
    }


def _search(fit: mc.Fit) -> dict[str, float]:
    """The highest maximum that the chains' own search found, and its seconds of wall time."""
    optima = fit.result.optima
    if optima is None:
        return {"highest maximum": np.nan, "search": np.nan, "restarted": 0.0}
    highest = optima.log_likelihood.max(where=optima.proper, initial=-np.inf)
    restarted = float(fit.draws.statistics["restarted"].sum())
    return {"highest maximum": highest, "search": optima.seconds, "restarted": restarted}


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each panel and kind of start."""
    places = ["panel", "classes"]
    best = (
        rows.groupby(places)[["maximum", "highest draw", "highest maximum"]]
        .transform("max")
        .max(axis=1)
    )
    lowest = rows.filter(regex="^chain ").min(axis=1)
    reached = lowest >= lowest_mean(best.to_numpy(), rows["parameters"].to_numpy())
    converged = rows["status"] == "converged"
    unmarked = converged & ~reached & (rows["cautions"].fillna("") == "")
    marks = {"reached": reached, "converged": converged, "unmarked": unmarked}
    each = rows.assign(**marks, below=best - lowest)
    return each.groupby([*places, "start"], sort=False).agg(
        seeds=("seed", "size"),
        share=("share of starts", "first"),
        reached=("reached", "sum"),
        converged=("converged", "sum"),
        unmarked=("unmarked", "sum"),
        below=("below", "max"),
        lowest_r_hat=("r_hat", "min"),
        highest_r_hat=("r_hat", "max"),
    )


def as_markdown(table: pd.DataFrame) -> str:
    """The table for a README, a row for each panel, the kinds of start beside one another."""
    texts: dict[str, Callable[[Any], str]] = {
        "all chains at the best mode": lambda row: f"{row.reached} of {row.seeds}",
        "converged": lambda row: f"{row.converged}",
        "in a worse mode, unmarked": lambda row: f"{row.unmarked}",
        "lowest chain below the best": lambda row: f"{row.below:.0f}",
        "largest R-hat": lambda row: f"{row.lowest_r_hat:.2f} to {row.highest_r_hat:.2f}",
    }
    heads = ["panel", "classes", "EM's starts at its maximum", *texts]
    lines = [heads, ["---"] * len(heads)]
    for (panel, classes), rows in table.groupby(["panel", "classes"], sort=False):
        kinds: list[Any] = list(rows.itertuples())
        cells = [" / ".join(text(kind) for kind in kinds) for text in texts.values()]
        lines.append([str(panel), str(classes), f"{100 * kinds[0].share:.0f} %", *cells])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    """Run what is not in the file yet, and print the table of all that is."""
    parser = argparse.ArgumentParser(description="Where chains end, by how they start.")
    names = list(dict.fromkeys(panel for panel, _ in CASES))
    parser.add_argument("panels", nargs="*", metavar="PANEL", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--starts", nargs="+", default=["overdispersed", "search"])
    parser.add_argument("--output", type=Path, default=Path("reports/starts/panels.csv"))
    options = parser.parse_args()
    rows = pd.read_csv(options.output) if options.output.exists() else pd.DataFrame(columns=KEYS)
    asked = itertools.product(range(options.seeds), CASES, options.starts)
    with threadpool_limits(1):
        for seed, (panel, classes), start in asked:
            key = (panel, classes, start, seed)
            wanted = panel in (options.panels or names)
            if not wanted or key in set(rows[KEYS].itertuples(index=False, name=None)):
                continue
            row = measured(*key)
            sys.stderr.write(f"{key}: {row['status']}, {row['seconds']:.1f} s\n")
            rows = pd.DataFrame([*rows.to_dict("records"), row])
            options.output.parent.mkdir(parents=True, exist_ok=True)
            rows.to_csv(options.output, index=False, float_format="%.8g")
    sys.stdout.write(as_markdown(judged(rows)))


if __name__ == "__main__":
    main()
