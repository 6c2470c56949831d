"""Inference from a fitted model, one verb a file.

Rooms from the bottom up: `arm` (arm's verbs), `nesting` (is a likelihood ratio a test?), `ddf`
(degrees of freedom), `intervals` (profile, bootstrap, confint), `functions` (linear functions of
the fixed effects, reference grids), `variance_shares` (R squared, ICC), `fixed_effects` (tests of
the fixed effects), `variance_tests` (exact tests of a variance), `means` (marginal means),
`comparison` (models against each other), `planning` (power of a study). `all_fit` and
`all_fit_generalised` compare optimisers, `each_group` fits a model to each group alone,
`model_summaries` describes several fits.
"""
