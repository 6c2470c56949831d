"""The tolerances of estimates: the engine, the adapter and `lmer`, and what follows from them.

A part of `tolerances`, which is where tests import them from.
"""

from __future__ import annotations

# --- The engine against the dense oracle ---------------------------------------------------------

#: The strategies keep condition numbers below about 1e5, so that the oracle's own rounding (it
#: forms normal equations, which square them) stays below this. Worst seen in 5000 designs: 2e-12.
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

#: The optimum, ours iterated to a decrement of 1e-16. lme4's numbers in tests/reference were
#: refined to a theta error below 1e-9.
LME4_OPTIMUM = 1e-8

#: The optimum as we stop by default: with a Newton decrement of about 1e-13 left, 3e-7 standard
#: errors of theta, which are some 20 % of it.
OPTIMUM_DEFAULT = 1e-7

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

# --- arm -----------------------------------------------------------------------------------------

#: What arm says of a fit that was polished to the exact optimum: it moves with the theta of that
#: polish, which is good to some 1e-9. The worst are the variances of standardised fits, at 7e-9.
ARM = 3e-8

#: What arm says of a likelihood at that optimum, where the error of theta enters squared: rounding.
ARM_DEVIANCE = 1e-12

# --- Exact tests of a variance -------------------------------------------------------------------

#: Likelihood ratio statistics of up to 3000 against R (lme4 refined to its optimum, lm): absolute.
#: At the optimum the likelihood is flat, so that only rounding of some 1e-9 is left; ML at the REML
#: estimate is not flat, and lme4's theta is known to 1e-9.
EXACT_STATISTIC = 1e-6

#: The supremum over the variance ratio against brute force on the same draw, absolute: Newton stops
#: at a gain of 1e-12, the rest is rounding of n - p logarithms.
SUPREMUM = 1e-9

#: The statistic of a fit by the engine, which stops at a decrement of 1e-10, against the spectral
#: form of it for the same response; absolute.
SPECTRAL = 1e-8

#: Eigenvalues by bisection against LAPACK's, relative to the largest: both good to some 1e-14.
EIGENVALUES = 1e-12

#: How far our optimum may lie above that of a brute-force search over the oracle's deviance,
#: whose gradient is by finite differences. Absolute.
BRUTE_FORCE = 1e-6

# --- The adapter against lme4 --------------------------------------------------------------------

#: Estimates at the polished optimum. The optimiser stops when no more than 1e-10 of the deviance is
#: left: 1e-5 standard errors, and those of theta are about a fifth of it. Worst seen: 3e-7, in the
#: thinned sleepstudy by ML.
ADAPTER_ESTIMATE = 1e-6

#: The criterion itself and what is made from it. Worst seen: 2e-13.
ADAPTER_CRITERION = 1e-11

#: Sums of squares, where theta's error enters to first order. Worst seen: 2e-9.
ADAPTER_SQUARES = 2e-8

#: R's extractAIC refits by ML with lme4's own optimiser at its default tolerance.
LME4_DEFAULT_FIT = 1e-7

# --- The adapter against statsmodels -------------------------------------------------------------

#: The estimate kept as it is (polish=False): the same numbers by another order of operations.
#: statsmodels inverts the random effects' covariance and we do not.
KEPT_ESTIMATE = 1e-12

#: What statsmodels gets from normal equations, with a condition number of 1e8 for the students
#: (means of 40 to 100 beside an intercept). Worst seen: 4e-10, a variance.
KEPT_NORMAL_EQUATIONS = 3e-9

# --- lmer against lme4 ---------------------------------------------------------------------------

#: The criterion at the optimum, where it is flat: two ways to the same number. Worst seen: 5e-15.
LMER_CRITERION = 1e-12

#: theta at the optimum: we stop 1e-6 standard errors from it, lme4's was refined to 1e-9. Worst
#: seen: 5e-8.
LMER_THETA = 1e-6

#: What moves with theta: variances, random effects and their variances. Worst seen: 1e-7.
LMER_ESTIMATE = 1e-6

#: Fixed effects and fitted values, which hardly do. Worst seen: 4e-9.
LMER_FIXED = 1e-7

#: The residual standard deviation. Worst seen: 4e-9.
LMER_SIGMA = 1e-7

#: The same model by the adapter and by `lmer`: one optimum from two starts, each within 1e-6
#: standard errors of it.
SAME_MODEL = 1e-6
