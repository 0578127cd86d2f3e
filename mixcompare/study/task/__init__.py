"""One task of a study: one method on one data set, from its seed to the rows that are kept.

It may import `study.file` and `study.mechanism`. With them and the packages below it holds all
that a finished task's numbers depend on.
"""
