"""lme4's accessors, as functions of a fitted model.

Read `estimates` (fixed effects, conditional modes, coefficients, covariances), `rows` (fitted
values and residuals), `likelihood` (with AIC and its kin), `description` (formula, frame,
matrices), `parameters` (as they are reported), `theta` (names of its elements), `summary`, `get_me`
(lme4's ``getME``) and `get_me_generalised`, `extract` (merTools' shapes). `generalised` has those
of generalised models, `ratios` says whether an effect's exponential is a ratio, `pick` finds random
effects by name, `blocks` shows the engine's plan.
"""
