"""Linear functions of the fixed effects.

Read `grid` (the reference grid of a fixed part), `nests` (factors nested in others), `averages`
over the grid, `slopes` on it, `estimable` (which functions the data determine, and what inference
on them needs), `hypotheses` (read from text).
"""
