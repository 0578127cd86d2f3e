"""Checklists of reviewers, answered from the fits where they can be."""

from mixcompare.report.checklists.filling import check_answers, checklists

__all__ = ["check_answers", "checklists"]
