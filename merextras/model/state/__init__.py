"""State of a fit.

Read `control` (how a model is fitted), `fitted` (the fitted model that all verbs read),
`penalised` (what a fit with a prior of its covariances is not).
"""
