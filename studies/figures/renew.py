"""Take the guided tour's figures from the studies' reports.

    python studies/figures/renew.py [--reports reports] [NAME ...]

Copies the main figure of every study that is named, of all by default.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

FIGURES = {
    "gapminder": "class-paths",
    "munnell": "optima-map",
    "ricefarms": "permutations",
    "airfare": "optima-map",
    "textbook_mixture": "class-means",
    "full_covariance": "models",
    "galaxy": "criteria-by-k",
    "billboard": "class-paths",
    "starts": "nested-loop-all-chains-at-best",
    "separation": "nested-loop-mse",
    "fixed_effects": "zip",
    "standard_errors": "nested-loop-coverage",
    "calibration": "ranks-of-truth",
}


def main() -> None:
    """Copy the figures of the reports that are there."""
    parser = argparse.ArgumentParser(description="Take the tour's figures from the reports.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    options = parser.parse_args()
    unknown = sorted({*options.names} - {*FIGURES})
    if unknown:
        parser.error(f"{', '.join(unknown)}: not a study with a figure: {', '.join(FIGURES)}")
    for name in options.names or FIGURES:
        source = options.reports / name / "figures" / f"{FIGURES[name]}.svg"
        if not source.exists():
            sys.stderr.write(f"{name}: there is no {source}; run the study first\n")
            continue
        shutil.copyfile(source, Path(__file__).parent / f"{name}.svg")


if __name__ == "__main__":
    main()
