# A given residual standard deviation: nlme's lmeControl(sigma =), by ML.
#
# By REML nlme's criterion at a given sigma is not the restricted likelihood (its meta-analysis of
# the BCG trials has tau^2 = .3376 where every other program has .3132), so that it is not asked.
suppressPackageStartupMessages({
  library(nlme)
  library(jsonlite)
})
bcg <- data.frame(
  tpos = c(4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27),
  tneg = c(119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886),
  cpos = c(11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29),
  cneg = c(128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825),
  ablat = c(44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33)
)
bcg <- with(bcg, data.frame(
  y = log(tpos / (tpos + tneg)) - log(cpos / (cpos + cneg)),
  v = 1 / tpos - 1 / (tpos + tneg) + 1 / cpos - 1 / (cpos + cneg),
  study = factor(seq_along(tpos)), ablat = ablat
))
taken <- function(fit) list(
  covariance = matrix(as.numeric(getVarCov(fit)), nrow(getVarCov(fit))),
  fixef = as.numeric(fixef(fit)), std_error = as.numeric(sqrt(diag(vcov(fit)))),
  log_lik = as.numeric(logLik(fit)), df = attr(logLik(fit), "df")
)
tight <- function(sigma) lmeControl(sigma = sigma, tolerance = 1e-12, msTol = 1e-14, niterEM = 300)
fits <- list(
  mean = lme(y ~ 1, bcg, ~ 1 | study, varFixed(~v), method = "ML", control = tight(1)),
  ablat = lme(y ~ ablat, bcg, ~ 1 | study, varFixed(~v), method = "ML", control = tight(1)),
  sleep = lme(y ~ Days, transform(lme4::sleepstudy, y = Reaction / 30), ~ Days | Subject,
    method = "ML", control = tight(1))
)
out <- list(versions = list(R = R.version.string, nlme = as.character(packageVersion("nlme"))), bcg = bcg, models = lapply(fits, taken))
write_json(out, "expected.json", digits = 15, auto_unbox = TRUE, pretty = TRUE)
