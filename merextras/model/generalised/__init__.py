"""Generalised linear mixed models: from a formula and a family to a fit.

Read `families` (what a user calls a family), `response` (a response in any of its forms), `fit`
(from the formula to the optimum), `fitted` (the model that the verbs take) and `refit`.
"""
