"""Settings of a model beside its formula.

Read `options` (the evaluation context of a formula: weights, offset, contrasts, subset),
`cov_prior` (priors on the covariances) and `residual` (residual standard deviations by group).
"""
