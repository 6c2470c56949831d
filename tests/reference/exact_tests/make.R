# Restricted and plain likelihood ratio tests of one variance, and their finite-sample null
# distributions from a million draws of RLRsim.
source("../common.R")
suppressPackageStartupMessages(library(RLRsim))

N <- 1e6
PROBS <- c(0.9, 0.95, 0.99)
students <- read_lmm_data()

# Standard errors by half the width of the one-sigma order-statistic interval: no density needed.
null_of <- function(sample, seed) {
  x <- sort(as.numeric(sample))
  at <- function(p) x[pmin(N, pmax(1, round(p * N)))]
  se <- sqrt(PROBS * (1 - PROBS) / N)
  p0 <- mean(x == 0)
  list(n_sims = N, seed = seed, probs = vec(PROBS), quantiles = vec(quantile(x, PROBS, type = 8)),
       quantiles_se = vec((at(PROBS + se) - at(PROBS - se)) / 2),
       p_zero = p0, p_zero_se = sqrt(p0 * (1 - p0) / N),
       mean = mean(x), mean_se = sd(x) / sqrt(N))
}

design_of <- function(X, Z) {
  mu <- svd(qr.resid(qr(X), Z))$d^2
  xi <- svd(Z)$d^2
  # RLRsim's LRTSim is not invariant to the units of Z; it is right when max(xi) >= 1.
  list(n = nrow(X), p = ncol(X), K = ncol(Z), mu = vec(mu), xi = vec(xi),
       lrtsim_scale_ok = max(xi) >= 1)
}

quiet <- function(x) suppressMessages(suppressWarnings(x))

rlrt_null <- function(X, Z, seed) null_of(RLRTSim(X, Z, qr(X), diag(ncol(Z)), nsim = N, seed = seed), seed)
lrt_null <- function(X, Z, q, seed) null_of(LRTSim(X, Z, q, diag(ncol(Z)), nsim = N, seed = seed), seed)

# `null_fixed`: the fixed part under the null hypothesis, one list entry per number of dropped
# effects; "q0" keeps them all.
tests_of <- function(formula, data_name, source, null_fixed) {
  reml <- polished(formula, data_name, TRUE)
  ml <- polished(formula, data_name, FALSE)
  X <- as.matrix(getME(reml, "X"))
  Z <- as.matrix(getME(reml, "Z"))
  fixed <- function(f) {
    environment(f) <- globalenv()
    do.call(lm, list(f, data = as.name(data_name)))
  }
  ols <- fixed(null_fixed$q0)
  # The restricted likelihood of least squares has a closed form; logLik.lm knows it.
  rlrt <- 2 * (as.numeric(logLik(reml)) - as.numeric(logLik(ols, REML = TRUE)))
  theirs <- unname(quiet(exactRLRT(reml, seed = 1))$statistic)
  stopifnot(abs(rlrt - theirs) < 1e-6 * rlrt)
  out <- list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
              data = list(name = data_name, source = source, rows = nrow(X)),
              design = design_of(X, Z),
              log_lik = list(reml = as.numeric(logLik(reml)), ml = as.numeric(logLik(ml)),
                             ml_at_reml = as.numeric(logLik(reml, REML = FALSE)),
                             ols_reml = as.numeric(logLik(ols, REML = TRUE))),
              rlrt = list(statistic = theirs, null = rlrt_null(X, Z, 11)))
  for (key in names(null_fixed)) {
    m0 <- fixed(null_fixed[[key]])
    q <- ncol(X) - length(coef(m0))
    stat <- function(m) unname(quiet(exactLRT(m, m0, seed = 1, nsim = 1000))$statistic)
    out[[paste0("lrt_", key)]] <- list(
      null_formula = deparse(null_fixed[[key]]), q = q, ols_log_lik = as.numeric(logLik(m0)),
      statistic_ml = stat(ml), statistic_at_reml = stat(reml),
      null = lrt_null(X, Z, q, 21 + q))
  }
  out
}

# The slope of sleepstudy given its intercept: full model, null model, and the model with the
# tested effect alone, which supplies the design.
full <- polished(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), "sleepstudy")
null <- polished(Reaction ~ Days + (1 | Subject), "sleepstudy")
only <- polished(Reaction ~ Days + (0 + Days | Subject), "sleepstudy")
X <- as.matrix(getME(only, "X"))
Z <- as.matrix(getME(only, "Z"))
slope <- list(
  formula_full = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
  formula_null = "Reaction ~ Days + (1 | Subject)",
  formula_tested = "Reaction ~ Days + (0 + Days | Subject)",
  data = list(name = "sleepstudy", source = "lme4::sleepstudy", rows = nrow(X)),
  design = design_of(X, Z),
  log_lik = list(full = as.numeric(logLik(full)), null = as.numeric(logLik(null))),
  rlrt = list(statistic = unname(quiet(exactRLRT(only, full, null, seed = 1))$statistic),
              null = rlrt_null(X, Z, 31)))

write_expected("exact_tests",
  tests = list(
    students = tests_of(extro ~ open + agree + social + (1 | school), "students", "lmm_data.csv",
                        list(q0 = extro ~ open + agree + social, q1 = extro ~ open + agree)),
    sleepstudy = tests_of(Reaction ~ Days + (1 | Subject), "sleepstudy", "lme4::sleepstudy",
                          list(q0 = Reaction ~ Days, q1 = Reaction ~ 1)),
    dyestuff = tests_of(Yield ~ 1 + (1 | Batch), "Dyestuff", "lme4::Dyestuff", list(q0 = Yield ~ 1))),
  slope_given_intercept = slope)
