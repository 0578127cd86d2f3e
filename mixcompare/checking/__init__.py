"""Checks of a model and its posterior: priors, influence of units, replicated data."""
