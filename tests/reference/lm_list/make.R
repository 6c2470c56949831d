# A linear model of each group: lme4's lmList.
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
out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))), models = models)
write_json(out, "expected.json", digits = 15, auto_unbox = TRUE, pretty = FALSE)
