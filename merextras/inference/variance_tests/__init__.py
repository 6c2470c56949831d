"""Tests of variances.

Read `variance_hypothesis` (the null model), `exact_lrt`, `exact_rlrt`, `null_bootstrap`; the exact
null distribution is in `merextras.distributions`.
"""
