# Profile-likelihood intervals and zeta at given values, from lme4's profile() of ML fits driven to
# their exact optimum. lme4's own accuracy is what limits these numbers, so the profile has four times
# its usual points and the optimiser of each goes on until it stalls.
source("../common.R")

LEVELS <- c(0.5, 0.95, 0.99)

tight <- function(fit, ...) {
  # (profile() itself takes no more than one element of `control`.)
  fit@optinfo <- list(optimizer = "bobyqa", control = list(rhobeg = 2e-3, rhoend = 1e-9, maxfun = 1e5))
  suppressWarnings(profile(fit, signames = FALSE, delta.cutoff = 1 / 32, maxpts = 400, devtol = 1e-6, ...))
}

# zeta at five values around the estimate: rounded, so that they can be told to another program.
zetas <- function(pr, name) {
  forward <- attr(pr, "forward")[[name]]
  rows <- pr[pr$.par == name, ]
  ends <- approx(rows$.zeta, rows[[name]], c(-2, -1, 0.5, 1.5, 2.4))$y
  value <- signif(ends[!is.na(ends)], 5)
  list(value = vec(value), zeta = vec(predict(forward, value)$y))
}

intervals <- function(pr, level) {
  ci <- suppressWarnings(confint(pr, level = level))
  list(level = level, values = dense(ci))
}

profiles <- function(formula, data_name, source, REML = FALSE, ...) {
  fit <- polished(formula, data_name, REML)
  pr <- tight(fit, ...)
  names <- names(attr(pr, "backward"))
  cat(sprintf("  %s\n", paste(deparse(formula, width.cutoff = 200), collapse = " ")))
  print(suppressWarnings(confint(pr, level = 0.99)), digits = 8)
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
       data = list(name = data_name, source = source), REML = REML, parameters = vec(names),
       intervals = lapply(LEVELS, function(level) intervals(pr, level)),
       zeta = setNames(lapply(names, function(n) zetas(pr, n)), names))
}

students <- read_lmm_data()
real <- "shared/data/lmm_data.csv; the bundled students are its twin"
models <- list(
  students = profiles(extro ~ open + agree + social + (1 | school), "students", real),
  nested = profiles(extro ~ open + agree + social + (1 | school / class), "students", real),
  sleepstudy = profiles(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy"),
  sleepstudy_reml = profiles(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy", REML = TRUE),
  uncorrelated = profiles(Reaction ~ Days + (Days || Subject), "sleepstudy", "lme4::sleepstudy"),
  penicillin = profiles(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin", "lme4::Penicillin"),
  pastes = profiles(strength ~ 1 + (1 | batch / cask), "Pastes", "lme4::Pastes"),
  dyestuff2 = profiles(Yield ~ 1 + (1 | Batch), "Dyestuff2", "lme4::Dyestuff2")
)

# Variances and covariances.
models$varcov <- profiles(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy",
                          prof.scale = "varcov")

write_expected("profile", models = models)
