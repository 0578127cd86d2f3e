"""The audit of somebody else's EM: is each step the exact one, and if not, which part is wrong?

Every iterate is scored with the exact likelihood; every step is compared with the exact
E- and M-step from the same parameters; steps that differ are explained by the combination of
registered candidates (`mixcompare.auditing.registry`) that reproduces them with the fewest causes.
EM never lowers the likelihood (Dempster, Laird & Rubin 1977), so a fall proves a fault, but a
fault need not show as a fall: the steps are compared whether they fall or not.

The referee has an arithmetic of its own. It may import `pages` and what is below `comparison`.
"""

from __future__ import annotations

from mixcompare.auditing.audit_result import Audit
from mixcompare.auditing.inquiry import audit
from mixcompare.auditing.recording import State, Step
from mixcompare.auditing.trace_format import TraceError

__all__ = ["Audit", "State", "Step", "TraceError", "audit"]
