"""Elimination of the random effects at a given theta.

Read `plan` (order of elimination), `factor` (the elimination), `columns` (what it does to X, y
and other columns), `conditional_variances` (blocks of the inverse); then the `tail`, the terms
that cross: `tail_choice` picks `tail_dense` (with `tail_shared`, its matrices, `tail_scale`, its
Lambda, and `tail_pass`, what is asked of its inverse) or `tail_sparse`. `blocks_of_plan` describes
a plan.
"""
