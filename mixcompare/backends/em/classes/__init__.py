"""How classes are distributed before outcomes are seen, and what E-steps make of it."""
