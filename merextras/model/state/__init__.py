"""State of a fit.

Read `control` (how a model is fitted), `link` (how means follow from linear predictors), `fitted`
(the fitted model that all verbs read), `fitting` (a design, or a model again), `identified` (what a
fit needs of the data), `size` (what it will take). What a kind of model is not: `penalised` (a
maximum likelihood estimate, where there is a prior), `linear_only` and `one_sigma` (verbs that need
a linear model, or one residual variance).
"""
