"""Run the program with each combination of faults on simulated panels; audit every run.

Prints the table and writes ``table.csv`` and ``log-likelihood.svg`` beside this file, or into
the folder that is given:

    python studies/nonconvergence/run.py [--seeds 20] [--iterations 40] [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from program import COVARIATES, Faults, Program, simulate
from statsmodels.tools.sm_exceptions import SingularMatrixWarning
from threadpoolctl import threadpool_limits

from mixcompare import labels
from mixcompare.auditing import Audit, audit
from mixcompare.labels.metrics import adjusted_rand_index
from mixcompare.model.spec import MixtureSpec
from mixcompare.pages.palette import COLORS, MUTED, style

SEGMENTS = 3
SPEC = MixtureSpec(
    f"streams ~ {' + '.join(COVARIATES)} - 1",
    unit="artist",
    absorb="artist:country",
    n_components=SEGMENTS,
    covariance_by="shared",
)
COMBINATIONS = {
    "none": Faults(),
    "raw-data E-step, effects added back": Faults(effects_added_back=True),
    "variance counts all rows": Faults(rows=True),
    "scale": Faults(scale=True),
    "observation-major": Faults(observation_major=True),
    "raw-data E-step, intercept lost": Faults(raw=True),
    "raw + scale": Faults(raw=True, scale=True),
    "raw + observation-major": Faults(raw=True, observation_major=True),
    "scale + observation-major": Faults(scale=True, observation_major=True),
    "all": Faults(raw=True, scale=True, observation_major=True),
}
DRAWN = ("none", "raw-data E-step, intercept lost", "observation-major", "scale")


def one_run(faults: Faults, seed: int, iterations: int) -> tuple[dict[str, Any], Audit]:
    """Measures of one run, and its audit."""
    panel, segment, truth = simulate(seed, segments=SEGMENTS)
    program = Program(panel, SEGMENTS, faults)
    trace = program.run(iterations, seed)
    judged = audit(SPEC, panel, trace)
    last = {name: values[-1] for name, values in trace.items()}
    posterior, _ = program.e_step(last)
    distance = np.abs(last["coefficients"][:, None] - truth[None]).max(axis=2)
    columns = labels.assign(distance)
    change = judged.iterations["change"].to_numpy()[1:]
    measures = {
        "falls": int(judged.iterations["falls"].sum()),
        "drop": float(max(0.0, -change.min())),
        "later": float(max(0.0, -change[1:].min())),
        "ari": adjusted_rand_index(posterior.to_numpy().argmax(axis=1), segment),
        "error": float(distance[np.arange(SEGMENTS), columns].max()),
        "variance": float(last["covariance"]),
        "found": "; ".join(judged.causes) or "no fault found",
        "path": np.concatenate([[0.0], change.cumsum()]),
    }
    return measures, judged


def summarise(name: str, runs: pd.DataFrame) -> dict[str, Any]:
    """One row of the table."""
    falling = runs[runs["falls"] > 0]
    found = Counter(runs["found"])
    return {
        "faults active": name,
        "runs that decrease": f"{len(falling)}/{len(runs)}",
        "decreasing steps": round(float(runs["falls"].mean()), 1),
        "median drop": float(runs["drop"].median()) if len(falling) else 0.0,
        "max drop": float(runs["drop"].max()) if len(falling) else 0.0,
        "median drop after step 1": float(runs["later"].median()) if len(falling) else 0.0,
        "ARI": round(float(runs["ari"].mean()), 2),
        "max coefficient error": float(runs["error"].median()),
        "variance (true 1)": float(runs["variance"].median()),
        "the audit says": ", or ".join(f"{text} ({n}x)" for text, n in found.most_common()),
    }


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if abs(value) < 1e-4:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_markdown(table: pd.DataFrame) -> str:
    """The table for a README."""
    texts = table.map(_text)
    lines = ["| " + " | ".join(row) + " |" for row in [list(table.columns), *texts.to_numpy()]]
    return "\n".join([lines[0], "|" + " --- |" * table.shape[1], *lines[1:]]) + "\n"


def draw(paths: dict[str, list[Any]], target: Path) -> None:
    """Log-likelihood by iteration under single faults, one line per run."""
    with style():
        figure = Figure(figsize=(9.4, 2.6), layout="constrained", facecolor="white")
        for axes, name in zip(figure.subplots(1, len(DRAWN)), DRAWN, strict=True):
            for path in paths[name][1:]:
                axes.plot(path, color=MUTED, linewidth=0.5)
            axes.plot(paths[name][0], color=COLORS["maximum"], linewidth=1.8)
            axes.set_title(name.replace(", ", ",\n").replace("none", "no fault"))
            axes.set_xlabel("iteration")
        figure.axes[0].set_ylabel("log-likelihood\nless the start's")
        figure.savefig(target, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


def main() -> None:
    """Run the ablation and write its table and figure."""
    parser = argparse.ArgumentParser(description="Ablation of a faulty EM, audited.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    # A segment that empties leaves the design without full rank; the program goes on.
    warnings.simplefilter("ignore", SingularMatrixWarning)
    rows, paths = [], {}
    with threadpool_limits(1):
        for name, faults in COMBINATIONS.items():
            runs = [one_run(faults, seed, options.iterations)[0] for seed in range(options.seeds)]
            paths[name] = [run.pop("path") for run in runs]
            rows.append(summarise(name, pd.DataFrame(runs)))
            sys.stderr.write(f"{name}: done\n")
    table = pd.DataFrame(rows)
    options.output.mkdir(parents=True, exist_ok=True)
    draw(paths, options.output / "log-likelihood.svg")
    table.to_csv(options.output / "table.csv", index=False, float_format="%.6g")
    sys.stdout.write(as_markdown(table))


if __name__ == "__main__":
    main()
