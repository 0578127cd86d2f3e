"""The log posterior density and its gradient, at many points at a time.

One written by hand and compiled, a special case that `compiled.serves` chooses, and one from the
graph of any model. What is compiled imports only what is compiled; the rest imports the model.
"""
