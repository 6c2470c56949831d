# 73 421 ratings: two large crossed factors and an interaction of two columns as a third.
# Only what is small is kept: scalars, variance components, the first levels of each factor.
source("../common.R")

formula <- y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept:service)
KEEP <- 20

trimmed <- function(fit) {
  re <- ranef(fit, condVar = FALSE)
  lapply(re, function(x) list(levels = vec(head(rownames(x), KEEP)), columns = vec(colnames(x)),
                              values = dense(head(x, KEEP)), n_levels = nrow(x), sumsq = sum(x^2)))
}

out <- list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
            data = list(name = "InstEval", source = "lme4::InstEval", rows = nrow(InstEval)))
for (REML in c(TRUE, FALSE)) {
  fit <- polished(formula, "InstEval", REML, steps = 2)
  f <- devfun_of(formula, "InstEval", REML)
  out[[if (REML) "REML" else "ML"]] <- c(scalars_of(fit), list(
    ranef = trimmed(fit), fitted_head = vec(head(fitted(fit), 10)),
    fitted_sumsq = sum(fitted(fit)^2), resid_sumsq = sum(resid(fit)^2),
    devfun = lapply(test_thetas(getME(fit, "lower")), function(th) at_theta(f, th))))
}
write_expected("insteval", models = list(insteval = out))
