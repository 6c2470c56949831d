# Draws of merTools' predictInterval of generalised models: mean, SD and quantiles by rows, on the
# scale of the linear predictor.
source("../common.R")
suppressPackageStartupMessages(library(merTools))

bundled <- function(name) read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")), stringsAsFactors = TRUE)
cbpp <- bundled("cbpp")
cbpp$period <- factor(cbpp$period)
cbpp$herd <- factor(cbpp$herd)
contraception <- bundled("contraception")
contraception$district <- factor(contraception$district)
contraception$urban <- as.numeric(contraception$urban == "Y")
sleep <- bundled("sleepstudy")
sleep$Subject <- factor(sleep$Subject)
sleep$Lapses <- round(sleep$Reaction / 40) + sleep$Days

fits <- list(
  cbpp = glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial),
  slopes = glmer(use ~ age + urban + (1 + urban | district), contraception, binomial),
  poisson = glmer(Lapses ~ Days + (1 | Subject), sleep, poisson)
)
data <- list(cbpp = cbpp, slopes = contraception, poisson = sleep)
rows <- list(cbpp = c(1, 2, 5, 9, 20), slopes = c(1, 100, 200, 900), poisson = c(1, 5, 30, 180))

calls <- 2
per_call <- 1000
summary_of <- function(sims) {
  list(mean = vec(rowMeans(sims)), sd = vec(apply(sims, 1, sd)),
       quantiles = dense(t(apply(sims, 1, quantile, probs = c(0.1, 0.5, 0.9)))))
}
draws <- function(fit, new, ...) {
  found <- lapply(seq_len(calls), function(i) attr(suppressMessages(suppressWarnings(
    predictInterval(fit, new, n.sims = per_call, returnSims = TRUE, seed = i, ...))), "sim.results"))
  if (!is.list(found[[1]])) return(summary_of(do.call(cbind, found)))
  effects <- names(found[[1]])
  setNames(lapply(effects, function(e) summary_of(do.call(cbind, lapply(found, `[[`, e)))), effects)
}
of <- function(name) {
  new <- data[[name]][rows[[name]], ]
  each <- function(noise) sapply(c("full", "all"), function(which)
    draws(fits[[name]], new, which = which, include.resid.var = noise), simplify = FALSE)
  probability <- suppressMessages(suppressWarnings(predictInterval(
    fits[[name]], new, n.sims = per_call, seed = 3, type = "probability", include.resid.var = FALSE)))
  list(rows = vec(rows[[name]]), n_sims = calls * per_call, with_residual = each(TRUE),
       without_residual = each(FALSE), probability = dense(probability[, c("fit", "lwr", "upr")]),
       n_sims_probability = per_call)
}
write_expected("predict_interval_glmer", models = sapply(names(fits), of, simplify = FALSE))
