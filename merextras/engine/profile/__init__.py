"""Profile deviances.

Read `charts` (coordinates with the profiled parameter as one of them), `at_sigma` (the deviance
at a given sigma), `constrained` (the minimum with one parameter fixed), `trace` (the minima
along a parameter).
"""
