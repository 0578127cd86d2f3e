"""Simulation-based calibration of the PyMC backend on small panels.

Prints a table per model and writes ``MODEL.csv``, ``MODEL-ranks.csv`` and ``MODEL.png`` beside
this file, or into the folder that is given:

    python studies/calibration/calibrate.py [MODEL ...] [--replicates 400] [--seed 1] [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import mixcompare as mc
from mixcompare.report.figures.calibration import plot_calibration

SAMPLER = {"draws": 250, "tune": 250, "chains": 4}


@dataclass(frozen=True, slots=True)
class Model:
    """A specification with explicit priors and the design that outcomes are simulated for."""

    spec: mc.MixtureSpec
    units: int
    rows: int

    def design(self) -> pd.DataFrame:
        """Units with a time, a covariate and a unit covariate; outcomes are placeholders."""
        rng = np.random.default_rng(0)
        n = self.units * self.rows
        return pd.DataFrame(
            {
                "unit": np.repeat(np.arange(self.units), self.rows),
                "x": np.tile(np.linspace(-1, 1, self.rows), self.units),
                "z": rng.normal(size=n),
                "w": np.repeat(rng.normal(size=self.units), self.rows),
                "a": rng.normal(size=n),
                "b": rng.normal(size=n),
            }
        )


MODELS = {
    "panel": Model(
        mc.MixtureSpec(
            "a ~ x",
            unit="unit",
            n_components=2,
            priors=mc.Priors(
                coefficient_mean=0.0, coefficient_sd=2.0, covariance_df=6.0, covariance_scale=6.0
            ),
        ),
        units=20,
        rows=4,
    ),
    "bivariate": Model(
        mc.MixtureSpec(
            "a + b ~ x + z",
            unit="unit",
            common="~ z",
            membership="~ w",
            n_components=2,
            priors=mc.Priors(
                coefficient_mean=0.0,
                coefficient_sd=2.0,
                membership_sd=1.5,
                covariance_df=6.0,
                covariance_scale=((6.0, 1.0), (1.0, 3.0)),
            ),
        ),
        units=30,
        rows=3,
    ),
    "absorbed": Model(
        mc.MixtureSpec(
            "a ~ x + z",
            unit="unit",
            absorb="unit",
            n_components=3,
            covariance_by="shared",
            priors=mc.Priors(
                coefficient_mean=0.0, coefficient_sd=2.0, covariance_df=6.0, covariance_scale=3.0
            ),
        ),
        units=30,
        rows=5,
    ),
}


def main(arguments: list[str]) -> None:
    """Calibrate the models that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    chosen = parser.parse_args(arguments)
    chosen.output.mkdir(parents=True, exist_ok=True)
    for name in chosen.models or MODELS:
        model = MODELS[name]
        found = mc.calibrate(
            model.spec,
            model.design(),
            replicates=chosen.replicates,
            seed=chosen.seed,
            after_each=progress(name, chosen.replicates),
            **SAMPLER,
        )
        sys.stderr.write("\n")
        sys.stdout.write(f"{name}: {found.sentence}\n{found.table.to_string()}\n")
        sys.stdout.write(f"{found.replicates['status'].value_counts().to_string()}\n")
        found.table.to_csv(chosen.output / f"{name}.csv")
        found.ranks.join(found.replicates).to_csv(chosen.output / f"{name}-ranks.csv")
        plot_calibration(found).savefig(chosen.output / f"{name}.png", dpi=110)


def progress(name: str, total: int) -> Callable[[int], None]:
    """Show how many replicates are done."""

    def show(done: int) -> None:
        sys.stderr.write(f"\r{name}: {done} of {total}")
        sys.stderr.flush()

    return show


if __name__ == "__main__":
    main(sys.argv[1:])
