# Standard errors of glmmTMB's predictions, which hold no parameter at its estimate.
source("../common.R")
suppressPackageStartupMessages(library(glmmTMB))

bundled <- function(name) {
  read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
           stringsAsFactors = TRUE)
}
cbpp <- bundled("cbpp")
cbpp$period <- factor(cbpp$period)
contraception <- bundled("contraception")
contraception$district <- factor(contraception$district)
sleep <- bundled("sleepstudy")
sleep$Subject <- factor(sleep$Subject)

tight <- glmmTMBControl(optCtrl = list(iter.max = 1e4, eval.max = 1e4, rel.tol = 1e-15, x.tol = 1e-12))
fits <- list(
  cbpp = glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(), control = tight),
  slopes = glmmTMB(use ~ age + urban + (1 + urban | district), contraception, binomial(), control = tight),
  nb = glmmTMB(size ~ period + (1 | herd), cbpp, nbinom2(), control = tight),
  gamma = glmmTMB(Reaction ~ Days + (Days | Subject), sleep, Gamma("log"), control = tight)
)
data <- list(cbpp = cbpp, slopes = contraception, nb = cbpp, gamma = sleep)
rows <- list(cbpp = 1:20, slopes = c(1:6, 200:206), nb = 1:20, gamma = c(1:10, 41:50))
of <- function(name) {
  new <- data[[name]][rows[[name]], ]
  link <- predict(fits[[name]], new, se.fit = TRUE, type = "link")
  response <- predict(fits[[name]], new, se.fit = TRUE, type = "response")
  list(rows = rows[[name]], log_lik = as.numeric(logLik(fits[[name]])),
       fit = vec(link$fit), std_error = vec(link$se.fit), response_std_error = vec(response$se.fit))
}
write_expected("glmer_predict", models = sapply(names(fits), of, simplify = FALSE))
