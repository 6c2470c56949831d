"""Inference from a fitted model, one verb a file.

Rooms from the bottom up: `nesting` (is a likelihood ratio a test?), `ddf` (degrees of freedom),
`arm` (arm's verbs), `intervals` (profile, bootstrap, confint), `variance_tests` (exact tests of
a variance), `variance_shares` (R squared, ICC), `fixed_effects` (tests of the fixed effects),
`means` (marginal means), `comparison` (models against each other). `all_fit` compares
optimisers and `model_summaries` describes fits.
"""
