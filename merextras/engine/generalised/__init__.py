"""Generalised linear mixed models: the Laplace criterion and its optimum.

Read `family` (what is asked of a distribution and its link) with `binomial`, `counts` and
`dispersed`; `table` (rows that are reduced again with other weights on one layout), `modes` (the
conditional modes by penalised iteratively reweighted least squares), `laplace` (the criterion and
its exact gradient), `start`, `search` (the optimiser) and `separation`; `marginal` has means over
the random effects, `held` optima with one parameter held.
"""
