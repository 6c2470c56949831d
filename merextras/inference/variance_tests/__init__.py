"""Tests of variances.

Read `variance_hypothesis` (the null model), `null_spectrum` and `rlrt_null` (the exact null
distribution), `exact_lrt`, `exact_rlrt`, `null_bootstrap`.
"""
