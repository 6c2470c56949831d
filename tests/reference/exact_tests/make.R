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

# One variance of several, with the others in both models: RLRsim's exactRLRT(tested, full, null),
# whose null distribution is that of the model with the tested effect alone.
given <- function(data_name, source, fixed, tested, others, seed) {
  formula_of <- function(...) as.formula(paste(fixed, ..., sep = " + "))
  full <- polished(formula_of(tested, others), data_name)
  null <- polished(formula_of(others), data_name)
  only <- polished(formula_of(tested), data_name)
  X <- as.matrix(getME(only, "X"))
  Z <- as.matrix(getME(only, "Z"))
  text <- function(...) paste(fixed, ..., sep = " + ")
  list(
    formula_full = text(tested, others), formula_null = text(others), formula_tested = text(tested),
    data = list(name = data_name, source = source, rows = nrow(X)),
    design = design_of(X, Z),
    log_lik = list(full = as.numeric(logLik(full)), null = as.numeric(logLik(null))),
    rlrt = list(statistic = unname(quiet(exactRLRT(only, full, null, seed = 1))$statistic),
                null = rlrt_null(X, Z, seed)))
}
row <- seq_len(nrow(Penicillin))
thinned <- Penicillin[!((row %% 7 == 3) | (row %% 11 == 5)), ]
extro <- "extro ~ open + agree + social"

write_expected("exact_tests",
  tests = list(
    students = tests_of(extro ~ open + agree + social + (1 | school), "students", "lmm_data.csv",
                        list(q0 = extro ~ open + agree + social, q1 = extro ~ open + agree)),
    sleepstudy = tests_of(Reaction ~ Days + (1 | Subject), "sleepstudy", "lme4::sleepstudy",
                          list(q0 = Reaction ~ Days, q1 = Reaction ~ 1)),
    dyestuff = tests_of(Yield ~ 1 + (1 | Batch), "Dyestuff", "lme4::Dyestuff", list(q0 = Yield ~ 1))),
  given = list(
    slope = given("sleepstudy", "lme4::sleepstudy", "Reaction ~ Days", "(0 + Days | Subject)",
                  "(1 | Subject)", 31),
    class = given("students", "lmm_data.csv", extro, "(1 | class:school)", "(1 | school)", 32),
    school = given("students", "lmm_data.csv", extro, "(1 | school)", "(1 | class:school)", 33),
    plate = given("thinned", "lme4::Penicillin", "diameter ~ 1", "(1 | plate)", "(1 | sample)", 34),
    sample = given("thinned", "lme4::Penicillin", "diameter ~ 1", "(1 | sample)", "(1 | plate)", 35)))
