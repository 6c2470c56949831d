"""Covariances of the random effects as functions of one vector of parameters, theta.

`structure` says what the engine asks of one term's covariance; `unstructured` is the free one,
`diagonal` has independent effects, `correlated` what one correlation is a part of, in
`compound_symmetry` and `autoregressive`. `tags` are their names in a formula, `families` which is
within which. `covariances` puts the terms together, `priors` has what is added to the criterion
for a prior of them, and `cholesky` has factors of matrices that may be singular.
"""
