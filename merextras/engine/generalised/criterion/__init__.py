"""The criterion of a generalised model.

Read `modes` (the conditional modes by penalised iteratively reweighted least squares), `laplace`
(the criterion and its exact gradient), `quadrature` (the criterion without the approximation),
`at_mode` (the normal distribution of the effects around the mode), `marginal` (means over the
random effects) and `by_cluster` (the gradient in parts that belong to clusters of rows);
`streamed` is the criterion of rows that are read again for every sum.
"""
