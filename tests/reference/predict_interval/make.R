# What merTools' predictInterval and lme4's predict say of new rows.
source("../common.R")
suppressPackageStartupMessages(library(merTools))

bundled <- function(name) read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")))
students <- bundled("students")
hsb <- bundled("hsb")
hsb$schid <- factor(hsb$schid)

# ---------------------------------------------------------------- predictInterval

# The draws of several calls side by side: one call draws more than 2000 one by one. Of each row
# their mean, SD and three quantiles.
calls <- 10
per_call <- 2000
summary_of <- function(sims) {
  list(mean = vec(rowMeans(sims)), sd = vec(apply(sims, 1, sd)),
       quantiles = dense(t(apply(sims, 1, quantile, probs = c(0.1, 0.5, 0.9)))))
}
draws <- function(fit, new, ...) {
  parts <- lapply(seq_len(calls), function(i) {
    suppressMessages(suppressWarnings(
      predictInterval(fit, new, n.sims = per_call, returnSims = TRUE, seed = i, ...)))
  })
  found <- lapply(parts, attr, "sim.results")
  if (!is.list(found[[1]])) return(summary_of(do.call(cbind, found)))
  effects <- names(found[[1]])
  setNames(lapply(effects, function(e) summary_of(do.call(cbind, lapply(found, `[[`, e)))), effects)
}
# The interval of the parts together is not among the draws of which = "all".
combined <- function(fit, new, ...) {
  out <- suppressMessages(suppressWarnings(
    predictInterval(fit, new, which = "all", n.sims = per_call, seed = 1, ...)))
  dense(out[out$effect == "combined", c("fit", "lwr", "upr")])
}
columns_of <- function(new) lapply(new, function(x) if (is.factor(x)) vec(as.character(x)) else vec(x))

intervals <- function(formula, data_name, new) {
  fit <- polished(formula, data_name, TRUE)
  out <- list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
              data = data_name, theta = named(getME(fit, "theta")), new = columns_of(new),
              n_sims = calls * per_call, n_sims_combined = per_call)
  for (noise in c(TRUE, FALSE)) {
    key <- if (noise) "with_residual" else "without_residual"
    out[[key]] <- c(
      sapply(c("full", "fixed", "random", "all"), simplify = FALSE,
             function(w) draws(fit, new, which = w, include.resid.var = noise)),
      list(combined = combined(fit, new, include.resid.var = noise)))
    cat("  ", data_name, key, "\n")
  }
  out
}
corrected <- function(formula, data_name, new, ignored) {
  fit <- polished(formula, data_name, TRUE)
  of <- function(...) draws(fit, new, include.resid.var = FALSE, ...)
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "), data = data_name,
       theta = named(getME(fit, "theta")), new = columns_of(new), n_sims = calls * per_call,
       ignored = vec(ignored), plain = of(), fix_intercept_variance = of(fix.intercept.variance = TRUE),
       ignore_fixed_terms = of(ignore.fixed.terms = ignored),
       both = of(fix.intercept.variance = TRUE, ignore.fixed.terms = ignored[-1]))
}

new_sleep <- data.frame(Days = c(0, 9, 4.5, 3), Subject = factor(c("308", "309", "372", "999")))
new_hsb <- rbind(hsb[c(1, 4000, 7185), c("ses", "meanses", "schid")],
                 data.frame(ses = 1, meanses = -0.5, schid = "none"))
new_plates <- data.frame(plate = c("a", "x", "zz", "b"), sample = c("A", "F", "C", "ZZ"))

# ---------------------------------------------------------------- predict

# Predictions for new rows by form, with and without levels that the fit has not seen; and standard
# errors of the fit's own rows, from the dense covariance of (beta, b).
standard_errors <- function(fit, rows, kept) {
  La <- as.matrix(getME(fit, "Lambda"))
  X <- getME(fit, "X")
  Z <- as.matrix(getME(fit, "Z"))
  p <- ncol(X)
  A <- cbind(X, Z %*% La)
  w <- weights(fit)
  M <- crossprod(A * sqrt(w)) + diag(rep(c(0, 1), c(p, ncol(La))))
  T <- diag(p + ncol(La))
  T[-seq_len(p), -seq_len(p)] <- La
  C <- sigma(fit)^2 * T %*% solve(M, t(T))
  a <- cbind(X, Z %*% diag(kept))[rows, ]
  vec(sqrt(rowSums((a %*% C) * a)))
}
# Which random effects a form keeps: those whose number of the term is among `terms`.
of_terms <- function(fit, terms) {
  Gp <- getME(fit, "Gp")
  as.numeric(rep(seq_len(length(Gp) - 1), diff(Gp)) %in% terms)
}

predictions <- function(formula, data_name, new, forms, unseen, rows, terms) {
  fit <- polished(formula, data_name, TRUE)
  by <- function(data, allowed) {
    lapply(forms, function(form) vec(predict(fit, data, re.form = form, allow.new.levels = allowed)))
  }
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "), data = data_name,
       theta = named(getME(fit, "theta")), new = columns_of(new), known = by(new, FALSE),
       unseen = columns_of(unseen), allowed = by(unseen, TRUE), rows_1based = vec(rows),
       std_error = lapply(terms, function(t) standard_errors(fit, rows, of_terms(fit, t))))
}
all_or_none <- list("NULL" = NULL, "NA" = NA)
forms_of <- function(...) c(list("NULL" = NULL, "NA" = NA), list(...))

sleepstudy$load <- sleepstudy$Days %% 3 + 1
Pastes$w <- rep(c(1, 2, 0.5), 20)
shown <- students[c(1, 700, 1200), c("open", "class", "school", "agree")]

write_expected("predict_interval", merTools = unbox(as.character(packageVersion("merTools"))),
  models = list(
    sleepstudy = intervals(Reaction ~ Days + (Days | Subject), "sleepstudy", new_sleep),
    hsb = intervals(mathach ~ ses + meanses + (ses | schid), "hsb", new_hsb),
    penicillin = intervals(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin", new_plates)),
  corrections = list(
    hsb = corrected(mathach ~ ses + meanses + (ses | schid), "hsb", new_hsb[1:3, ],
                    c("(Intercept)", "ses")),
    students = corrected(extro ~ open + agree + social + (1 | school), "students",
                         students[c(1, 700), c("open", "agree", "social", "school")],
                         c("(Intercept)", "open", "agree", "social"))),
  predict = list(
    slopes = predictions(Reaction ~ Days + (Days | Subject), "sleepstudy", new_sleep[1:3, ],
      forms_of("~ (1 | Subject)" = ~ (1 | Subject), "~ (0 + Days | Subject)" = ~ (0 + Days | Subject)),
      new_sleep, c(1, 95, 180), list("NULL" = 1, "NA" = integer(0))),
    uncorrelated = predictions(Reaction ~ Days + (Days || Subject), "sleepstudy", new_sleep[1:3, ],
      forms_of("~ (1 | Subject)" = ~ (1 | Subject)),
      new_sleep, c(1, 95, 180), list("NULL" = 1:2, "NA" = integer(0), "~ (1 | Subject)" = 1)),
    offset = predictions(Reaction ~ Days + offset(load) + (1 | Subject), "sleepstudy",
      transform(new_sleep[1:3, ], load = c(1, 2.5, 100)), forms_of(),
      transform(new_sleep, load = c(1, 2.5, 100, 4)), c(1, 95, 180), list("NULL" = 1, "NA" = integer(0))),
    nested = predictions(strength ~ 1 + (1 | batch / cask), "Pastes",
      data.frame(batch = c("A", "J", "C"), cask = c("a", "c", "b")),
      forms_of("~ (1 | batch)" = ~ (1 | batch), "~ (1 | cask:batch)" = ~ (1 | cask:batch)),
      data.frame(batch = c("A", "Z", "C"), cask = c("d", "a", "b")), c(1, 25, 60),
      list("NULL" = 1:2, "NA" = integer(0), "~ (1 | batch)" = 2)),
    crossed = predictions(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin",
      new_plates[1:2, ], forms_of("~ (1 | plate)" = ~ (1 | plate), "~ (1 | sample)" = ~ (1 | sample)),
      new_plates, c(1, 72, 144),
      list("NULL" = 1:2, "NA" = integer(0), "~ (1 | plate)" = 1, "~ (1 | sample)" = 2)),
    transforms = predictions(extro ~ log(open) * class + I(agree^2) + (1 | school), "students",
      shown, forms_of(), transform(shown, school = c("I", "VII", "II")), c(1, 700, 1200),
      list("NULL" = 1, "NA" = integer(0)))))
