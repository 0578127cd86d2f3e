"""Where chains start and how they move, for any model.

Samplers import the model and its density, and hand back draws of its free variables.
"""
