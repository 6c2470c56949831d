"""Results of simulated tests.

`exact_test`, `pb_modcomp`.
"""
