"""Profile deviances.

Read `charts` (coordinates with the profiled parameter as one of them) and `own_charts` (of a
structure's own parameters), `at_sigma` (the deviance at a given sigma), `constrained` (the minimum
with one parameter fixed), `lowest` (the lowest of several such minima), `trace` (the minima along a
parameter); `by_strata` and `paths_by_strata` are problems of residual strata.
"""
