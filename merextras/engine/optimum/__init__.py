"""Minimisation of the profiled deviance over theta.

Read `start` (moment estimates), `parameters` (theta and the residuals' in one vector), `criterion`
(chooses the cheaper evaluation), `repeated_levels` (the evaluation by kinds of levels), `newton`
(the search) with `step` (Newton steps that are safe far off), `line` (searches along a line) and
`boundary` (variances at zero), `restarts` (other starts, where there may be another minimum),
`rays` and `unbounded` (where there is none), `summary` (what is told of the search);
`residual_information` is for degrees of freedom of a model with strata.
"""
