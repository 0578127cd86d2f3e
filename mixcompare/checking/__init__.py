"""Checks of a model and its posterior: priors, influence of units, replicated data.

Each check is a function of a fit that returns a table with what it means. It may import the
backends, `simulate` and what is below, and knows no comparison.
"""
