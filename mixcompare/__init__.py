"""One finite-mixture specification, two independent backends, one honest comparison."""

from mixcompare.backends import fit
from mixcompare.comparison import Comparison, Thresholds, compare
from mixcompare.delta import delta_method
from mixcompare.errors import (
    DataError,
    DegenerateFitError,
    MixCompareError,
    OptionError,
    SpecificationError,
)
from mixcompare.fit import Fit, load
from mixcompare.panel import Panel, build_panel
from mixcompare.priors import describe_priors
from mixcompare.resampling import bootstrap
from mixcompare.spec import MixtureSpec, Priors

__all__ = [
    "Comparison",
    "DataError",
    "DegenerateFitError",
    "Fit",
    "MixCompareError",
    "MixtureSpec",
    "OptionError",
    "Panel",
    "Priors",
    "SpecificationError",
    "Thresholds",
    "bootstrap",
    "build_panel",
    "compare",
    "delta_method",
    "describe_priors",
    "fit",
    "load",
]
