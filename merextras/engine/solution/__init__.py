"""Solution of the penalised least-squares problem at a given theta.

Read `profiled` (deviance and fixed effects once the random effects are eliminated), `pls` (all
estimates), `lme4_factor` (the Cholesky factor as one matrix).
"""
