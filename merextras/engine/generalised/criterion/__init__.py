"""The criterion of a generalised model.

Read `modes` (the conditional modes by penalised iteratively reweighted least squares), `laplace`
(the criterion and its exact gradient), `quadrature` (the criterion without the approximation),
`at_mode` (the normal distribution of the effects around the mode) and `marginal` (means over the
random effects).
"""
