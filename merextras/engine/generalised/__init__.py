"""Generalised linear mixed models: the Laplace criterion and its optimum.

Read `family` (what is asked of a distribution and its link) with `binomial`, `counts` and
`dispersed`; `cells` (rows and levels that are alike), `table` (rows that are reduced again with
other weights on one layout), `modes` (the conditional modes by penalised iteratively reweighted
least squares), `laplace` (the criterion and its exact gradient), `start`, `optimum` (where a search
ended, and the information there), `search` and `separation`; `quadrature` has the criterion without
the approximation, `marginal` means over the random effects, `held` optima with one parameter held,
`by_cluster` the gradient in parts that belong to clusters of rows.
"""
