"""One finite-mixture specification, two independent backends, one honest comparison."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from mixcompare.backends import fit as fit
from mixcompare.base.errors import DataError as DataError
from mixcompare.base.errors import DataWarning as DataWarning
from mixcompare.base.errors import DegenerateFitError as DegenerateFitError
from mixcompare.base.errors import DensityError as DensityError
from mixcompare.base.errors import MachineError as MachineError
from mixcompare.base.errors import MixCompareError as MixCompareError
from mixcompare.base.errors import OptionError as OptionError
from mixcompare.base.errors import SpecificationError as SpecificationError
from mixcompare.data.panel import Panel as Panel
from mixcompare.data.panel import build_panel as build_panel
from mixcompare.fits.fit import Fit as Fit
from mixcompare.fits.fit import load as load
from mixcompare.model.classes import StaticClasses as StaticClasses
from mixcompare.model.families import Family as Family
from mixcompare.model.families import register_family as register_family
from mixcompare.model.responses import Response as Response
from mixcompare.model.spec import MixtureSpec as MixtureSpec
from mixcompare.model.spec import Priors as Priors
from mixcompare.prepared.prior_table import describe_priors as describe_priors

if TYPE_CHECKING:
    from mixcompare.auditing import Audit as Audit
    from mixcompare.auditing import TraceError as TraceError
    from mixcompare.auditing import audit as audit
    from mixcompare.backends.em.bootstrap import bootstrap as bootstrap
    from mixcompare.checking.leave_one_out import LeaveOneOut as LeaveOneOut
    from mixcompare.checking.leave_one_out import leave_one_out as leave_one_out
    from mixcompare.checking.posterior_predictive import PredictiveCheck as PredictiveCheck
    from mixcompare.checking.posterior_predictive import (
        posterior_predictive as posterior_predictive,
    )
    from mixcompare.checking.prior_predictive import PriorPredictive as PriorPredictive
    from mixcompare.checking.prior_predictive import prior_predictive as prior_predictive
    from mixcompare.checking.sensitivity import prior_sensitivity as prior_sensitivity
    from mixcompare.checking.simulation_based import Calibration as Calibration
    from mixcompare.checking.simulation_based import calibrate as calibrate
    from mixcompare.comparison import Comparison as Comparison
    from mixcompare.comparison import Thresholds as Thresholds
    from mixcompare.comparison import compare as compare
    from mixcompare.fits.delta import delta_method as delta_method
    from mixcompare.prediction import predict as predict
    from mixcompare.prediction import prediction_table as prediction_table
    from mixcompare.prediction import predictive_draws as predictive_draws
    from mixcompare.report import plot as plot
    from mixcompare.report import write_report as write_report
    from mixcompare.reproduction import Origin as Origin
    from mixcompare.reproduction import Reproduced as Reproduced
    from mixcompare.reproduction import reproduce as reproduce
    from mixcompare.selection import Selection as Selection
    from mixcompare.selection import select as select
    from mixcompare.study.file.load import build_study as build_study
    from mixcompare.study.file.load import load_study as load_study
    from mixcompare.study.run.run_study import run_study as run_study

# Imported when first used: few sessions need them and all would pay for them.
_LAZY: Final = {
    "mixcompare.auditing": ("Audit", "TraceError", "audit"),
    "mixcompare.backends.em.bootstrap": ("bootstrap",),
    "mixcompare.checking.leave_one_out": ("LeaveOneOut", "leave_one_out"),
    "mixcompare.checking.posterior_predictive": ("PredictiveCheck", "posterior_predictive"),
    "mixcompare.checking.prior_predictive": ("PriorPredictive", "prior_predictive"),
    "mixcompare.checking.sensitivity": ("prior_sensitivity",),
    "mixcompare.checking.simulation_based": ("Calibration", "calibrate"),
    "mixcompare.comparison": ("Comparison", "Thresholds", "compare"),
    "mixcompare.fits.delta": ("delta_method",),
    "mixcompare.prediction": ("predict", "prediction_table", "predictive_draws"),
    "mixcompare.report": ("plot", "write_report"),
    "mixcompare.reproduction": ("Origin", "Reproduced", "reproduce"),
    "mixcompare.selection": ("Selection", "select"),
    "mixcompare.study.file.load": ("build_study", "load_study"),
    "mixcompare.study.run.run_study": ("run_study",),
}
_PLACE: Final = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PLACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACE})
