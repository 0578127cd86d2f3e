"""Checklists of reviewers, answered from the fits where they can be."""

from mixcompare.report.checklists.filling import checklists

__all__ = ["checklists"]
