# What package arm says of a fit. Its sim() is left out: for slopes and nested terms it is wrong.
source("../common.R")
suppressPackageStartupMessages(library(arm))
options(width = 80)

students <- read_lmm_data()

# arm refits standardised models with lme4's default tolerance: here they are refitted to the
# exact optimum, on arm's own columns (the model frame of its refit).
standardized <- function(fit, REML, ...) {
  s <- suppressMessages(standardize(fit, ...))
  assign("standardised_data", model.frame(s), envir = globalenv())
  exact <- polished(formula(s), "standardised_data", REML)
  stopifnot(max(abs(fixef(exact) - fixef(s)) / sqrt(diag(vcov(exact)))) < 1e-3)
  list(formula = paste(deparse(formula(s), width.cutoff = 200), collapse = " "),
       beta = named(fixef(exact)), se = vec(se.fixef(exact)), sigma = sigma(exact),
       theta = named(getME(exact, "theta")), var_corr = records(VarCorr(exact)),
       criterion = if (REML) REMLcrit(exact) else deviance(exact))
}

of <- function(fit, ml, REML) {
  # arm's standardize() stops on a model without predictors.
  predictors <- length(fixef(fit)) > 1
  d_hat <- -2 * as.numeric(logLik(fit))
  dev <- deviance(ml)
  dic <- unname(extractDIC(fit))
  # arm refits by ML with a default tolerance; `dic` below is from the exact ML optimum.
  stopifnot(abs(dic - (2 * dev - d_hat)) < 1e-5)
  sh <- sigma.hat(fit)
  list(dic = 2 * dev - d_hat, dic_arm = dic, deviance_ml = dev, p_d = dev - d_hat,
       se_fixef = named(se.fixef(fit)),
       se_ranef = lapply(se.ranef(fit), labelled),
       se_coef = lapply(se.coef(fit), function(x) if (is.matrix(x)) labelled(x) else vec(x)),
       sigma_hat = list(sigma = lapply(sh$sigma, function(x) if (is.null(names(x))) x else named(x)),
                        cors = lapply(sh$cors, function(x) if (is.matrix(x)) dense(x) else NULL)),
       display = vec(capture.output(display(fit))),
       display_digits3_detail = vec(capture.output(display(fit, digits = 3, detail = TRUE))),
       standardize = if (predictors) standardized(fit, REML),
       standardize_y = if (predictors) standardized(fit, REML, standardize.y = TRUE))
}

both <- function(formula, data_name, source, extra = NULL) {
  ml <- polished(formula, data_name, FALSE)
  out <- list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
              data = c(list(name = data_name, source = source, rows = nobs(ml)), extra))
  for (REML in c(TRUE, FALSE)) {
    fit <- if (REML) polished(formula, data_name, TRUE) else ml
    out[[if (REML) "REML" else "ML"]] <- of(fit, ml, REML)
  }
  out
}

binary <- both(extro ~ open + agree + social + isa + (1 | school), "students", "lmm_data.csv",
               list(note = "isa = 1 where class is 'a', else 0"))
binary_fit <- polished(extro ~ open + agree + social + isa + (1 | school), "students", TRUE)
for (how in c("center", "0/1", "-0.5,0.5", "full")) {
  binary$REML$binary_inputs[[how]] <- standardized(binary_fit, TRUE, binary.inputs = how)
}
binary$REML$unchanged_open <- standardized(binary_fit, TRUE, unchanged = "open")

write_expected("arm", models = list(
  students = both(extro ~ open + agree + social + (1 | school), "students", "lmm_data.csv"),
  students_binary = binary,
  sleepstudy = both(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy"),
  pastes = both(strength ~ 1 + (1 | batch / cask), "Pastes", "lme4::Pastes")
))
