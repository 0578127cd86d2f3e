"""One finite-mixture specification, two independent backends, one honest comparison."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mixcompare.backends import fit
from mixcompare.base.errors import (
    DataError,
    DataWarning,
    DegenerateFitError,
    DensityError,
    MachineError,
    MixCompareError,
    OptionError,
    SpecificationError,
)
from mixcompare.data.panel import Panel, build_panel
from mixcompare.fits.fit import Fit, load
from mixcompare.model.classes import StaticClasses
from mixcompare.model.families import Family, register_family
from mixcompare.model.responses import Response
from mixcompare.model.spec import MixtureSpec, Priors
from mixcompare.prepared.prior_table import describe_priors

if TYPE_CHECKING:
    from mixcompare.auditing import Audit, TraceError, audit
    from mixcompare.backends.em.bootstrap import bootstrap
    from mixcompare.checking.leave_one_out import LeaveOneOut, leave_one_out
    from mixcompare.checking.posterior_predictive import PredictiveCheck, posterior_predictive
    from mixcompare.checking.prior_predictive import PriorPredictive, prior_predictive
    from mixcompare.checking.sensitivity import prior_sensitivity
    from mixcompare.checking.simulation_based import Calibration, calibrate
    from mixcompare.comparison import Comparison, Thresholds, compare
    from mixcompare.fits.delta import delta_method
    from mixcompare.prediction import predict, prediction_table, predictive_draws
    from mixcompare.report import plot, write_report
    from mixcompare.reproduction import Origin, Reproduced, reproduce
    from mixcompare.selection import Selection, select
    from mixcompare.study.file.load import build_study, load_study
    from mixcompare.study.run.run_study import run_study

__all__ = [
    "Audit",
    "Calibration",
    "Comparison",
    "DataError",
    "DataWarning",
    "DegenerateFitError",
    "DensityError",
    "Family",
    "Fit",
    "LeaveOneOut",
    "MachineError",
    "MixCompareError",
    "MixtureSpec",
    "OptionError",
    "Origin",
    "Panel",
    "PredictiveCheck",
    "PriorPredictive",
    "Priors",
    "Reproduced",
    "Response",
    "Selection",
    "SpecificationError",
    "StaticClasses",
    "Thresholds",
    "TraceError",
    "audit",
    "bootstrap",
    "build_panel",
    "build_study",
    "calibrate",
    "compare",
    "delta_method",
    "describe_priors",
    "fit",
    "leave_one_out",
    "load",
    "load_study",
    "plot",
    "posterior_predictive",
    "predict",
    "prediction_table",
    "predictive_draws",
    "prior_predictive",
    "prior_sensitivity",
    "register_family",
    "reproduce",
    "run_study",
    "select",
    "write_report",
]

# Imported when first used: few sessions need them and all would pay for them.
_LAZY = {
    "Audit": "mixcompare.auditing",
    "Calibration": "mixcompare.checking.simulation_based",
    "Comparison": "mixcompare.comparison",
    "LeaveOneOut": "mixcompare.checking.leave_one_out",
    "PredictiveCheck": "mixcompare.checking.posterior_predictive",
    "PriorPredictive": "mixcompare.checking.prior_predictive",
    "Selection": "mixcompare.selection",
    "Origin": "mixcompare.reproduction",
    "Reproduced": "mixcompare.reproduction",
    "Thresholds": "mixcompare.comparison",
    "TraceError": "mixcompare.auditing",
    "audit": "mixcompare.auditing",
    "bootstrap": "mixcompare.backends.em.bootstrap",
    "build_study": "mixcompare.study.file.load",
    "calibrate": "mixcompare.checking.simulation_based",
    "compare": "mixcompare.comparison",
    "delta_method": "mixcompare.fits.delta",
    "leave_one_out": "mixcompare.checking.leave_one_out",
    "load_study": "mixcompare.study.file.load",
    "posterior_predictive": "mixcompare.checking.posterior_predictive",
    "plot": "mixcompare.report",
    "predict": "mixcompare.prediction",
    "prediction_table": "mixcompare.prediction",
    "predictive_draws": "mixcompare.prediction",
    "prior_predictive": "mixcompare.checking.prior_predictive",
    "prior_sensitivity": "mixcompare.checking.sensitivity",
    "select": "mixcompare.selection",
    "write_report": "mixcompare.report",
    "reproduce": "mixcompare.reproduction",
    "run_study": "mixcompare.study.run.run_study",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
