# Shared by the topics of covariance structures: data sets with sorted factors, and a fit of glmmTMB
# whose optimum is driven to a zero gradient by Newton steps on the exact gradient.

suppressPackageStartupMessages({
  library(glmmTMB)
  library(nlme)
  library(jsonlite)
})
options(stringsAsFactors = FALSE, warn = 1)

sorted_factors <- function(frame) {
  for (v in names(frame)) {
    column <- frame[[v]]
    if (is.factor(column)) frame[[v]] <- factor(as.character(column), levels = sort(unique(as.character(column))))
  }
  frame
}

polished_tmb <- function(fit, steps) {
  obj <- fit$obj
  par <- fit$fit$par
  for (i in seq_len(steps)) {
    g <- obj$gr(par)
    if (max(abs(g)) < 1e-9) break
    step <- try(solve(optimHess(par, obj$fn, obj$gr), as.numeric(g)), silent = TRUE)
    if (inherits(step, "try-error")) break
    trial <- par - step
    if (!is.finite(obj$fn(trial)) || obj$fn(trial) > obj$fn(par) + 1e-8) break
    par <- trial
  }
  list(par = par, value = obj$fn(par), gradient = max(abs(obj$gr(par))))
}

# A fit at its optimum, and the last parameters of all with which that was evaluated.
fit_tmb <- function(data, formula, REML, steps) {
  fit <- suppressWarnings(glmmTMB(formula, data = data, REML = REML, family = gaussian(),
    control = glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-14))))
  best <- polished_tmb(fit, steps)
  invisible(fit$obj$fn(best$par))
  list(fit = fit, best = best, last = fit$obj$env$last.par)
}

sigma_of <- function(found) as.numeric(exp(0.5 * found$last[names(found$last) == "betad"]))

# Standard deviations of each term, and the correlations with its first effect.
terms_of <- function(found) {
  rep <- found$fit$obj$report(found$last)
  lapply(seq_along(rep$sd), function(i) list(
    sd = I(as.numeric(rep$sd[[i]])),
    cor = I(as.numeric(if (length(rep$corr) >= i && length(rep$corr[[i]]) > 1) rep$corr[[i]][, 1] else numeric(0)))))
}

fixed_of <- function(found, REML) {
  sdr <- TMB::sdreport(found$fit$obj, found$best$par, getJointPrecision = FALSE)
  beta <- if (REML) sdr$par.random[names(sdr$par.random) == "beta"] else sdr$par.fixed[names(sdr$par.fixed) == "beta"]
  se <- if (REML) sqrt(sdr$diag.cov.random[names(sdr$par.random) == "beta"]) else sqrt(diag(sdr$cov.fixed))[names(sdr$par.fixed) == "beta"]
  list(names = I(names(fixef(found$fit)$cond)), beta = I(as.numeric(beta)), se = I(as.numeric(se)))
}

write_cases <- function(cases) {
  versions <- sapply(c("glmmTMB", "nlme", "TMB"), function(p) as.character(packageVersion(p)))
  write_json(list(R = R.version.string, versions = as.list(versions), cases = cases), "expected.json",
             digits = 15, auto_unbox = TRUE, pretty = TRUE)
}
