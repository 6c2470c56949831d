"""Generalised linear mixed models: from a formula and a family to a fit.

Read `families` (what a user calls a family), `response` (a response in any of its forms), `fit`
(from the formula to the optimum), `gathered` (rows that come in chunks), `whole_fit` (what is known
then), `fitted` (the model that the verbs take), `made` (a model at given parameters), `refit` and
`again` (many responses); `draws`, `probabilities` and `population` are the responses drawn, their
distribution functions, and means over the effects; `other_rows` fits the model to a part of its
rows or to rows drawn from them, `new_responses` has the distribution of responses that are still to
come, `scores` the score by clusters, `mode_blocks` the covariances of their modes.
"""
