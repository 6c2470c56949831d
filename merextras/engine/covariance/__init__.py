"""Covariances of the random effects as functions of one vector of parameters, theta.

`structure` says what the engine asks of one term's covariance, `unstructured` is the free one,
`covariances` puts the terms together, `priors` has what is added to the criterion for a prior of
them, and `cholesky` has factors of matrices that may be singular.
"""
