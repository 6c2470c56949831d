# Leverages of generalised models whose links are not the canonical ones.
suppressMessages({library(lme4); library(jsonlite)})

control <- glmerControl(
  optimizer = "bobyqa", tolPwrss = 1e-12,
  optCtrl = list(maxfun = 1e5, rhoend = 1e-9), check.conv.grad = "ignore")

# lme4's hatvalues have the right middle, of expected weights, but prior weights outside of it;
# with the variances at zero they are glm's.
leverage <- function(formula, fixed, data, family) {
  m <- suppressWarnings(glmer(formula, data, family, control = control))
  outside <- weights(m, type = "working") / weights(m, type = "prior")
  alone <- glm(fixed, family, data, epsilon = 1e-14, maxit = 100)
  list(fixef = unname(fixef(m)), sd = attr(VarCorr(m)[[1]], "stddev")[[1]], sigma = sigma(m),
       hat = unname(suppressWarnings(hatvalues(m)) * outside),
       glm = list(coef = unname(coef(alone)), hat = unname(hatvalues(alone))))
}
herd <- cbind(incidence, size - incidence) ~ period + (1 | herd)
reaction <- Reaction ~ Days + (1 | Subject)
leverages <- list(
  "binomial(probit)" = leverage(herd, nobars(herd), cbpp, binomial("probit")),
  "binomial(cloglog)" = leverage(herd, nobars(herd), cbpp, binomial("cloglog")),
  "gamma(log)" = leverage(reaction, nobars(reaction), sleepstudy, Gamma("log")),
  "inverse_gaussian(log)" =
    leverage(reaction, nobars(reaction), sleepstudy, inverse.gaussian("log")))

out <- list(
  versions = list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4"))),
  leverages = leverages)
write_json(out, "expected.json", digits = 15, auto_unbox = TRUE, pretty = TRUE)
