"""Analytic derivatives.

Read `gradient` (of the profiled deviance in theta), `average_information` (second-order information
for Newton steps), `information` (first and second derivatives in the elements of the covariances,
for degrees of freedom) with `traces`, `strata` (derivatives in the residual precisions of strata),
`identified` (whether variances can be told apart).
"""
