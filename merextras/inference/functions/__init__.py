"""Linear functions of the fixed effects.

`grid` (the reference grid of a fixed part), `averages` over it, `slopes` on it, `estimable` (which
functions the data determine, and what inference on them needs), `hypotheses` (read from text).
"""
