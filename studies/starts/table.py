"""The table of the tour from what ``starts.toml`` has left: where chains end, by factor and start.

mixcompare run studies/starts.toml
python studies/starts/table.py [--store reports/starts/study.sqlite] [--methods search]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from mixcompare.study.measures.modes import at_best_mode
from mixcompare.study.run.store import open_store

FACTORS = {
    "n_components": "{} classes",
    "periods": "{} rows a unit",
    "absorb": "effects absorbed: {}",
    "separation": "separation {}",
}
# Of EM's starts, so that the best mode is not hard to find.
EASY = 0.5


def fits(path: Path, methods: list[str] | None = None) -> pd.DataFrame:
    """A row for each fit of the chains: its levels, what it came to, and EM's share of starts.

    Of some methods, or of all.
    """
    with open_store(path, create=False) as store:
        numbers = pd.concat([store.frame("criteria"), store.frame("diagnostics")])
        tasks, levels = store.frame("tasks"), store.factors()
    numbers = pd.concat([numbers, at_best_mode(numbers)])
    wide = numbers.pivot_table("value", ["task", "scenario", "replicate", "method"], "name")
    wide = wide.reset_index().merge(tasks[["task", "outcome", "seconds"]], on="task")
    shares = wide.pivot_table("share_at_best_optimum", ["scenario", "replicate"])
    if methods is not None:
        wide = wide[wide["method"].isin(["em", *methods])]
    # While a study runs, methods are compared on the data sets that all of them have seen.
    seen = wide.groupby(["scenario", "replicate"])["method"].transform("nunique")
    wide = wide[seen == wide["method"].nunique()]
    chains = wide[wide["all_chains_at_best"].notna()].drop(columns="share_at_best_optimum")
    factors = pd.DataFrame.from_dict(levels, orient="index")[[*FACTORS]]
    factors["absorb"] = factors["absorb"].map(lambda level: "yes" if level else "no")
    return (
        chains.drop(columns="n_components")
        .join(shares, on=["scenario", "replicate"])
        .join(factors, on="scenario")
    )


def as_markdown(rows: pd.DataFrame) -> str:
    """The table, the methods beside one another."""
    methods = list(dict.fromkeys(rows["method"]))
    beside = " / ".join(methods)
    heads = [
        "data sets",
        "n",
        f"all chains at the best mode: {beside}",
        "n, easy for EM",
        "of these",
    ]
    heads += ["converged", "in a worse mode, unmarked"]
    lines = [heads, ["---"] * len(heads), _line("all", rows, methods)]
    for factor, text in FACTORS.items():
        for level, group in rows.groupby(factor):
            lines.append(_line(text.format(level), group, methods))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _line(name: str, rows: pd.DataFrame, methods: list[str]) -> list[str]:
    parts = [rows[rows["method"] == method] for method in methods]
    easy = [part[part["share_at_best_optimum"] >= EASY] for part in parts]

    def shares(columns: list[pd.Series]) -> str:
        return " / ".join(f"{column.mean():.2f}" for column in columns)

    return [
        name,
        str(len(parts[0])),
        shares([part["all_chains_at_best"] for part in parts]),
        str(len(easy[0])),
        shares([part["all_chains_at_best"] for part in easy]),
        shares([part["outcome"] == "converged" for part in parts]),
        " / ".join(f"{part['unmarked_in_worse_mode'].sum():.0f}" for part in parts),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Where chains end, by factor and start.")
    parser.add_argument("--store", type=Path, default=Path("reports/starts/study.sqlite"))
    parser.add_argument("--methods", nargs="+", help="of the chains; all by default")
    options = parser.parse_args()
    sys.stdout.write(as_markdown(fits(options.store, options.methods)))


if __name__ == "__main__":
    main()
