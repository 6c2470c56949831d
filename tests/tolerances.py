"""Every tolerance of the tests, with its reason. To be appended to, not loosened.

A relative tolerance is relative to the largest element of what is expected (`compare.close`),
unless the test says otherwise.
"""

from __future__ import annotations

from tolerances_of_fits import *  # noqa: F403 (one place of names)

# --- Degrees of freedom and tests ----------------------------------------------------------------

#: Kenward and Roger's adjusted covariance, relative to its largest element: it moves with theta,
#: for which see `LMER_THETA`. Worst seen: 3e-7, in the thinned sleepstudy.
KR_COVARIANCE = 1e-6

#: Degrees of freedom. Kenward and Roger's move with theta; Satterthwaite's in lmerTest also with
#: the error of a Hessian and a Jacobian by finite differences. Worst seen: 9e-7, relative.
DDF = 3e-6

#: F and t statistics and sums of squares, which move with theta; relative. Worst seen: 3e-7.
TEST_STATISTIC = 1e-6

#: p-values, relative: 1e-30 moves by seventy times what its t statistic does. Worst seen: 2e-5.
P_VALUE = 1e-4

#: A likelihood ratio, relative: both optima are flat. Worst seen: 1e-10.
LIKELIHOOD_RATIO = 1e-8

#: Second derivatives by fourth-order differences of first ones, relative to the largest.
SECOND_DERIVATIVE = 1e-6

#: Estimates of the same rows, told in another way.
SAME_ROWS = 2e-6

#: The starting theta in other units: a least-squares solution cut off at 1e-10, of rounded moments.
START = 1e-6

# --- Many responses, bootstrap -------------------------------------------------------------------

#: The deviance, its slopes and curvature for many responses against those for one, at a given
#: theta: another order of the same sums, by levels' orthonormal coordinates. Relative.
MANY_KERNEL = 1e-8

#: The optimum for a response among many against its own fit, absolute: twice what the decrement at
#: which both stop leaves (see OPTIMUM_DEVIANCE).
MANY_DEVIANCE = 1e-8

#: theta there, relative to the largest. Worst seen in 8000 replicates: 4e-8; in one, on the ridge
#: of an intercept without variance, 1e-3 at deviances 4e-10 apart.
MANY_THETA = 1e-6

#: The two blockings of the same replicates: sums of matrix products of other sizes.
SAME_REPLICATES = 1e-9

#: A simulated p-value or moment against R's own simulation, in standard errors of the difference;
#: of the 60 compared one in 30 000 sets has a larger one.
BOTH_SIMULATED = 5.0

#: A criterion that scipy's optimisers stop at, with and without gradients; absolute.
OTHER_OPTIMISER = 1e-6

# --- Likelihood profiles -------------------------------------------------------------------------

#: Ends of intervals at a level that has a point of its own, relative to their width. Both lme4's
#: reference, with its tightest settings, and ours are good to a few 1e-7.
PROFILE_INTERVAL = 1e-6

#: The same where a variance leaves zero on the way (Dyestuff2): lme4 interpolates across the kink.
PROFILE_KINK = 5e-5

#: The intervals that the tutorial prints were interpolated by lme4 from its default eight points a
#: side; so is ours at 50 %, where the first step from the estimate is a guess.
PROFILE_PUBLISHED = 1e-4

#: zeta at any value, absolute: interpolated by us between five or six points a side. Worst: 7e-4.
PROFILE_ZETA = 1e-3

#: The deviance of all parameters at a point of a profile against zeta**2, absolute: those are where
#: the search stopped, up to twice 1e-6 above the minimum that zeta is extrapolated to.
PROFILE_DEVIANCE = 5e-6

#: zeta at a point against L-BFGS-B with finite differences, absolute.
PROFILE_BRUTE_FORCE = 2e-5

# --- Prediction ----------------------------------------------------------------------------------

#: Standard errors against the dense joint covariance, which inverts normal equations with a
#: condition number of 1e8 for the students. Worst seen: 2e-12 (6e-15 for the other models).
DENSE_STANDARD_ERROR = 1e-8

#: Predictions at R's own theta against lme4's: closed forms, printed with 15 digits.
LME4_PREDICT = 1e-9

#: Satterthwaite's degrees of freedom from slopes by central differences against exact ones.
DIFFERENCED_DF = 1e-6

# --- Pooled fits ---------------------------------------------------------------------------------

#: Variances within and between fits and what is made of them against mice, whose lme4 fits stop at
#: bobyqa's 1e-12: relative. Worst seen: 4e-6, a variance between fits.
POOLED = 2e-5

# --- Leverage and influence ----------------------------------------------------------------------

#: Leverages at the polished optimum, absolute: they move with theta. Worst seen: 3e-9.
HAT = 1e-8

#: Cook's distances and studentised residuals by them, relative to the largest. Worst seen: 2e-8.
STUDENTISED = 1e-6

#: Estimates of a refit without a group or row, relative to the largest of the kind, against lme4's
#: refit polished to its optimum. Worst seen: 9e-7, an element of theta that is itself near zero.
DELETION = 1e-6

#: The same refits by levels and one by one, each stopped by its own decrement; relative.
SAME_DELETION = 1e-6

#: One step by either way: no search, sums in another order.
SAME_STEP = 1e-8

#: lme4's own influence object, whose refits stop at its default precision; relative.
LME4_INFLUENCE = 1e-3

# --- Marginal means and tidy tables --------------------------------------------------------------

#: Means, slopes and their standard errors against emmeans, relative: they move with theta, see
#: `LMER_ESTIMATE`. Worst seen: 2e-8.
EMMEANS = 1e-6

#: Adjusted p-values, relative: R's ptukey is good to some ten digits of one, not of the tail. Worst
#: seen: 2e-5, of 1e-8.
EMMEANS_ADJUSTED = 1e-4
EMMEANS_TAIL = 1e-10

#: R's qtukey stops at a relative 1e-4.
RANGE_QUANTILE = 1e-4

#: Columns of broom.mixed, relative to the largest of a column: see `LMER_ESTIMATE`. Worst: 2e-8.
TIDY = 1e-6

#: Statistics of pbkrtest, lmerTest and nlme on fits at their optimum, relative. Worst seen: 4e-9;
#: nlme's own fit stops a little before the optimum.
MODCOMP = 1e-7
NLME = 1e-6

#: Robust covariances, their degrees of freedom and tests: the same formulas dense (worst seen:
#: 2e-13), and R's dense version on fits at their optimum, which moves with theta (1e-10).
ROBUST_DENSE = 1e-9
ROBUST = 1e-7

# --- Effect sizes and checks ---------------------------------------------------------------------

#: Shares of variance against insight, absolute: they move with theta (`LMER_THETA`). Worst: 6e-9.
VARIANCE_SHARE = 1e-7

#: Variances themselves, relative. Worst seen: 8e-8, the crossed random effects by ML.
VARIANCE_PART = 1e-6

#: Standard deviations and rotations of rePCA, absolute. Worst seen: 2e-7.
RE_PCA = 1e-6

#: Variance inflation factors, relative: they move with theta. Worst seen: 6e-11.
VIF = 1e-9

#: Score statistics of residuals, which move with theta and its leverages; relative. Worst: 6e-8.
SCORE_STATISTIC = 1e-6

#: p-values of Shapiro and Wilk's test by R's and scipy's implementations; relative. Worst: 2e-7.
SHAPIRO = 1e-6

# --- merTools ------------------------------------------------------------------------------------

#: What moves with theta (ranks, modes, variances), relative; lme4's fits were refined to their
#: optimum. Worst seen: 3e-8, of hsb.
MERTOOLS = 1e-6

#: What hardly does: root mean squared errors, AIC. Worst seen: 4e-13, of hsb 8e-11.
MERTOOLS_CRITERION = 1e-9

# --- Chunks --------------------------------------------------------------------------------------

#: A fit from chunks against the one in memory: the same sums in another order. Deviances and
#: criteria, relative; estimates in standard errors. Worst seen: 5e-14 and 2e-11.
CHUNKS_DEVIANCE = 1e-10
CHUNKS_ESTIMATES = 1e-8

#: A generalised fit whose rows are read for each step against the one in memory: deviances,
#: relative, at given parameters and at the optimum; estimates in standard errors, and theta. Both
#: searches stop at the same decrement.
STREAMED_CRITERION = 1e-10
STREAMED_DEVIANCE = 1e-9
STREAMED_ESTIMATES = 1e-6

# --- Fuzz of all verbs ---------------------------------------------------------------------------

#: The same model with its rows, labels, zero or unit written otherwise: relative to the largest
#: number. What follows theta has the optimiser's 1e-7 in it, degrees of freedom its derivatives.
FUZZ_INVARIANT = {
    "fitted": 1e-6,
    "sigma": 1e-6,
    "hat": 1e-5,
    "r2": 1e-5,
    "statistics": 1e-5,
    "df": 1e-4,
}

# --- Formula code --------------------------------------------------------------------------------

#: R's estimates at the optimum of models whose columns are made by R, where theta is known to 1e-7
#: and two ways of making a column (a triangular factor here, recurrences there) differ by rounding.
FORMULA_IN_R = 3e-7

#: Columns of X made of chunks against those made at once: transforms that add up their moments
#: over rows (`scale`, `poly`) differ by rounding, relative to the largest element of the column.
CHUNKS_COLUMNS = 1e-10

#: F statistics and degrees of freedom of lmerTest, whose Hessian of the criterion is by finite
#: differences, at its optimum of models with 180 and 270 rows.
FORMULA_TESTS = 3e-6
# --- Planning ------------------------------------------------------------------------------------

#: p-values of replicates that are refitted together against those of single refits, absolute: both
#: stop at a decrement of about 1e-13, which moves a p-value by 1e-7. Worst seen: 3e-8.
REPLICATE_P_VALUE = 1e-6

#: Parameters of a made model: solved for, not searched; relative to sigma. Worst seen: 2e-13.
MADE_MODEL = 1e-9

#: Rows predicted from down-dated cross-products against refits to the other rows: the same optimum
#: from sums in another order. In standard deviations of the response. Worst seen: 2e-9.
LEFT_OUT = 1e-8

# --- Where zero is and what a unit is -------------------------------------------------------------

#: The criterion of a model whose covariate was shifted and rescaled, relative to its size: some
#: hundred roundings. Worst seen in 2000 models with mean / sd up to 1e6: 1e-13.
SHIFTED_CRITERION = 1e-9

#: Estimates and standard errors of the same: a shifted covariate has itself lost six of its digits.
SHIFTED_ESTIMATES = 1e-7

#: Degrees of freedom of the same.
SHIFTED_DF = 1e-5

#: What a warning says could still be gained, printed with two digits.
TWO_DIGITS = 0.06
#: A criterion above the best of a dense search from many starts, relative to one plus its size: far
#: below any difference between two minima, above what either search leaves.
SEVERAL_MINIMA = 1e-6

# --- A given residual standard deviation ---------------------------------------------------------

#: The criterion at a given theta and sigma against the density of N(X beta, V) through V, n x n.
KNOWN_SCALE = 1e-10

#: How far the criterion may lie above what a numeric search of the dense one finds. Absolute.
DENSE_OPTIMUM = 1e-7

#: metafor's figures are printed with four decimals; its Fisher scoring stops at steps of 1e-5.
METAFOR = 6e-5

#: nlme's optimum: its own search stops at 1e-8 or so of the log-likelihood, 1e-4 of a covariance.
NLME_OPTIMUM = 2e-4

#: The exact Hessian against central differences of the gradient with steps of 1e-5.
NUMERIC_HESSIAN = 1e-5

#: Least squares by groups, ours by Gram and Schmidt twice, R's by Householder: rounding.
LEAST_SQUARES = 1e-8

#: lmerTest's tables at its optima, whose theta are good to 1e-4 or so.
STEP_TABLE = 2e-3

# --- Covariance structures ------------------------------------------------------------------------

#: Log-likelihoods of structured covariances, absolute: glmmTMB's optimum is polished to a gradient
#: below 1e-5, nlme's is its own.
STRUCTURE_CRITERION = 1e-6

#: Their standard deviations (relative) and correlations (absolute), which are found to the root of
#: that.
STRUCTURE_ESTIMATE = 1e-4

#: Fixed effects, their standard errors and the modes, relative to the largest.
STRUCTURE_FIXED = 1e-5

# --- Residual variances by group ------------------------------------------------------------------

#: nlme's and glmmTMB's optima are theirs: a log-likelihood of ours may be above, never below by
#: more than this, and above by no more where they converged. Worst seen: 4e-7 (nlme, math_both).
PEER_LOG_LIK = 1e-6

#: Their standard deviations, relative: nlme stops with a flat criterion. Worst seen: 3e-5.
PEER_SD = 1e-4

#: Their fixed effects and modes in standard errors, and standard errors relative. Worst seen: 4e-6.
PEER_EFFECTS = 1e-5
# --- Priors of the covariances -------------------------------------------------------------------

#: -2 log prior against scipy's densities, and its part of the criterion against a dense one: closed
#: forms of small matrices.
PRIOR = 1e-10

#: Standard deviations at the penalised optimum, relative: blme's optimum was driven to a theta
#: error below 1e-10, ours stops at a decrement of 1e-13.
BLME_SD = 1e-6

#: The penalised criterion there, absolute; both know it to some 1e-11.
BLME_CRITERION = 1e-8

#: The fit of a file of the format's first version against that of its rows: the products with a
#: covariate's mean of 17 standard deviations are rounded before that is taken off.
OLD_FILE = 1e-9

# --- Generalised models --------------------------------------------------------------------------

#: Derivatives of log-densities against fourth-order differences with steps of 1e-4 of eta, over the
#: largest: rounding of the density over the step.
FAMILY_DERIVATIVE = 1e-8

#: Closed forms of one number by two ways: logarithms of gamma functions lose a digit or two.
ROUNDING_OF_SUMS = 1e-11

#: The gradient of Laplace's criterion against fourth-order differences of it: what is asked for.
LAPLACE_GRADIENT = 1e-7

#: Log-likelihoods of two exact optima, relative: what is asked for; they agree to rounding, 1e-12.
GLMM_LOG_LIK = 1e-8

#: Fixed effects at both optima, in standard errors: what is asked for.
GLMM_ESTIMATE = 1e-6

#: Standard deviations (relative) and the covariance of the fixed effects (as a correlation): both
#: sides' Hessians are fourth-order differences of exact gradients.
GLMM_COVARIANCE = 1e-6

#: lme4's glmer iterated as far as its criterion allows: its optimiser stops at about 1e-6 of an
#: estimate.
GLMM_AGAINST_LME4 = 1e-5

#: Quadrature with many nodes against adaptive integration, relative: what the integration leaves.
QUADRATURE_LIMIT = 1e-8

#: Scores of single clusters against differences of fourth order of each one's likelihood alone,
#: relative to the largest: what the differences leave, beside the rounding of the modes.
ROBUST_GLMM = 1e-6

#: A generalised linear model of the rows of a level, by two programs that iterate to the end.
LEVEL_ALONE = 1e-7

#: Probabilities and densities over a normal predictor against adaptive integration, relative: the
#: sum over evenly spaced points has no error to speak of, the integration this one.
NEW_RESPONSES = 1e-8

#: glmmTMB as its own optimiser leaves it, relative, of a log-likelihood.
GLMM_AGAINST_GLMMTMB = 1e-7

#: Means over a normal distribution against adaptive integration: what both leave.
POPULATION_MEAN = 1e-11

#: Standard errors by exact derivatives against those by differences, relative.
DELTA_METHOD = 1e-6

#: Parameters of a refit in a bootstrap and of a whole fit, which goes on to the last digit:
#: the refit stops where 2.5e-14 of the log-likelihood is left to gain, 3e-7 standard errors.
REFIT_OF_A_REPLICATE = 1e-6

#: Refits of a generalised model all together and one by one, of estimates in standard errors: each
#: stops within 3e-7 of the optimum.
REFITS_TOGETHER = 1e-6

#: The deviances of the two, relative: what is left to gain is a rounding.
DEVIANCES_TOGETHER = 1e-12

#: The criterion of many responses and of one, its derivatives: sums in another order, relative to
#: the largest.
CRITERION_OF_MANY = 1e-9

#: Ends of profile intervals against roots of TMB's profile deviance, relative.
PROFILE_END = 1e-6

#: The rise of the deviance at an end against a model with the parameter given: of a curve between
#: exact points.
PROFILE_RISE = 1e-5

#: Generalised linear models of R's glm, which ends when the deviance changes by less than 1e-14
#: relatively: estimates to about 1e-7 standard errors, of slopes near zero to fewer digits.
GLM_OF_R = 1e-6

#: Predictions and their standard errors against glmmTMB's, whose optimum is nlminb's at 1e-15 of
#: the criterion, and whose Hessian is of differences of its gradient.
PREDICTIONS_OF_TMB = 2e-5
