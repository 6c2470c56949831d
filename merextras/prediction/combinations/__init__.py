"""Linear combinations of the effects, how uncertain they are, and their means under a link.

Read `combination` (the combination and its arithmetic), `prediction_variance` (variances by row,
with degrees of freedom), `parameter_slopes` (what theta adds to them in a generalised model),
`uncertainty` (intervals by closed formula or by joint draws),
`population` (means over the population of random effects) and `response_scale` (from the linear
predictor to the response).
"""
