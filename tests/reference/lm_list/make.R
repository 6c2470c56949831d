# A linear or generalised linear model of each group: lme4's lmList.
suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})
taken <- function(fit) {
  s <- summary(fit)
  list(groups = names(fit), coef = unname(as.matrix(coef(fit))),
       std_error = unname(as.matrix(s$coefficients[, "Std. Error", ])),
       p_value = unname(as.matrix(s$coefficients[, 4, ])), sigma = s$RSE, df = s$df.residual,
       low = unname(apply(confint(fit, pool = TRUE), c(1, 3), function(x) x[1])),
       own_low = unname(t(sapply(seq_along(fit), function(i) confint(fit[[i]])[, 1]))))
}
models <- list(
  sleep = taken(lmList(Reaction ~ Days | Subject, sleepstudy)),
  unequal = taken(lmList(Reaction ~ Days + I(Days^2) | Subject, sleepstudy[-c(1:4, 33, 57:61, 90), ]))
)

# Generalised: coefficients, standard errors and p-values of each group's own summary, which are
# by Pearson's dispersion where there is one, deviances and dispersions.
bundled <- function(name) {
  read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
           stringsAsFactors = TRUE)
}
women <- bundled("contraception")
women <- women[women$district %in% c(1, 6, 14, 25, 30, 46), ]
cbpp <- bundled("cbpp")
cbpp$big <- cbpp$size / 10
sleep <- transform(sleepstudy, Count = round(Reaction / 20), Exposure = log(1 + Days))
tight <- list(epsilon = 1e-14, maxit = 200)
generalised <- function(fit) {
  each <- lapply(seq_along(fit), function(i) summary(fit[[i]]))
  of <- function(j) unname(t(sapply(each, function(s) s$coefficients[, j])))
  list(groups = names(fit), terms = rownames(each[[1]]$coefficients), coef = of(1), std_error = of(2), p_value = of(4),
       deviance = sapply(each, function(s) s$deviance), dispersion = sapply(each, function(s) s$dispersion),
       df = sapply(each, function(s) s$df.residual))
}
binomials <- list(
  logit = generalised(lmList(use ~ age + urban | district, women, family = binomial, control = tight)),
  probit = generalised(lmList(use ~ age + urban | district, women, family = binomial("probit"), control = tight)),
  cloglog = generalised(lmList(use ~ age + urban | district, women, family = binomial("cloglog"), control = tight)),
  cbind = generalised(lmList(cbind(incidence, size - incidence) ~ big | herd,
                             cbpp[cbpp$herd %in% c(1, 3, 5, 6, 7, 11), ], family = binomial, control = tight))
)
others <- list(
  poisson = generalised(lmList(Count ~ Days + offset(Exposure) | Subject, sleep, family = poisson, control = tight)),
  gamma = generalised(lmList(Reaction ~ Days | Subject, sleep, family = Gamma("log"), control = tight)),
  gamma_inverse = generalised(lmList(Reaction ~ Days | Subject, sleep, family = Gamma("inverse"), control = tight)),
  inverse_gaussian = generalised(lmList(Reaction ~ Days | Subject, sleep, family = inverse.gaussian("log"), control = tight)),
  gaussian_log = generalised(lmList(Reaction ~ Days | Subject, sleep, family = gaussian("log"), control = tight))
)
# Of all districts the ones that glm leaves at a coefficient that is still on its way.
all_women <- bundled("contraception")
far <- suppressWarnings(lmList(use ~ age | district, all_women, family = binomial))
separated <- names(far)[sapply(seq_along(far), function(i) {
  e <- summary(far[[i]])$coefficients[, 2]; any(e > 100) || !far[[i]]$converged})]
out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))), models = models,
            generalised = c(binomials, others), separated = separated)
write_json(out, "expected.json", digits = 15, auto_unbox = TRUE, pretty = FALSE)
