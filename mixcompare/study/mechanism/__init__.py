"""Data-generating mechanisms: data sets of a scenario, with what is true of them.

It may import `study.file`.
"""
