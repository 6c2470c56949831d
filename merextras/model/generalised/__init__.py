"""Generalised linear mixed models: from a formula and a family to a fit.

Read `families` (what a user calls a family), the room `responses` (a response in any of its forms,
and those that are still to come), `glmer` (what is done with a user's arguments), `fit` (from the
formula to the optimum), the room `chunks` (rows that come in chunks), `separated` (effects without
a finite estimate), `whole_fit` (what is known then), `working` (the linear model at the mode),
`fitted` (the model that the verbs take), `made` (a model at given parameters), `refit` and `again`
(many responses); `other_rows` fits the model to a part of its rows or to rows drawn from them,
`levels_alone` fits each level without pooling, `scores` has the score by clusters.
"""
