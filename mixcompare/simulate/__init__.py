"""Draws of outcomes, and of parameters from their priors.

The only place that draws new outcomes. It may import `prepared` and what is below, and no
backend.
"""
