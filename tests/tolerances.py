"""Every tolerance of the tests, with its reason. To be appended to, not loosened.

A relative tolerance is relative to the largest element of what is expected (`compare.close`),
unless the test says otherwise.
"""

from __future__ import annotations

# --- The engine against the dense oracle ---------------------------------------------------------

#: The strategies keep condition numbers below about 1e5, so that the oracle's own rounding (it
#: forms normal equations, which square them) stays below this. Worst seen in 20 000 designs: 6e-12.
ORACLE = 1e-10

#: The same quantity computed by another order of summation (rows permuted, levels relabelled, terms
#: in another order, tables added up): nothing but rounding differs.
INVARIANCE = 1e-10

#: The gradient against fourth-order central differences with steps of 1e-3: the fifth derivative
#: leaves some 1e-8 of the deviance's own scale, rounding 1e-10.
GRADIENT = 1e-6

# --- The engine against lme4 ---------------------------------------------------------------------

#: lme4's devfun at a fixed theta, printed with 15 digits: two ways to the same closed form.
LME4_FIXED_THETA = 1e-9

#: The optimum. lme4's numbers in tests/reference were refined to a theta error below 1e-9 and
#: ours stops at a Newton decrement of 1e-10 before its last, quadratic, step.
LME4_OPTIMUM = 1e-8

# --- The optimiser -------------------------------------------------------------------------------

#: How far a deviance may lie above the best found by brute force: the decrement at which we stop.
#: Absolute; a hundred-millionth of what would change a likelihood ratio test.
OPTIMUM_DEVIANCE = 1e-8

#: theta at the same optimum reached from another start or by another method: the square root of
#: what the deviance resolves, in relative terms.
OPTIMUM_THETA = 1e-5

# --- Simulation ----------------------------------------------------------------------------------

#: Simulated moments against exact ones, in standard errors of the Monte Carlo estimate. Of 1000
#: independent normal errors one in 1700 sets has a larger one; the seeds are fixed.
MONTE_CARLO = 5.0

#: What is drawn exactly (a sum of the same draws in another order): rounding.
SAME_DRAWS = 1e-10

#: R's joint covariance at its optimum, by inverting a dense matrix with a condition number of 1e8
#: (students: predictors with means of 40 to 100 beside an intercept).
LME4_JOINT = 1e-7
