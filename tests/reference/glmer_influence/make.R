# Refits of a glmer model without each herd, and emmeans' trends and joint tests of another.
suppressMessages({library(lme4); library(emmeans); library(jsonlite)})

control <- glmerControl(
  optimizer = "bobyqa", tolPwrss = 1e-12,
  optCtrl = list(maxfun = 1e5, rhoend = 1e-9), check.conv.grad = "ignore")
fit <- function(data) glmer(
  cbind(incidence, size - incidence) ~ period + (1 | herd), data, binomial, control = control)
herds <- levels(cbpp$herd)
refits <- lapply(herds, function(h) fit(subset(cbpp, herd != h)))
influence <- list(
  herd = herds,
  fixef = lapply(refits, function(m) unname(fixef(m))),
  sd = sapply(refits, function(m) attr(VarCorr(m)$herd, "stddev")[[1]]),
  log_lik = sapply(refits, function(m) as.numeric(logLik(m))))

contraception <- read.csv("../../../merextras/datasets/contraception.csv", stringsAsFactors = TRUE)
trend <- glmer(
  use ~ age * urban + livch + (1 | district), contraception, binomial, control = control)
slopes <- as.data.frame(emtrends(trend, ~ urban, var = "age"))
tests <- as.data.frame(joint_tests(trend))

out <- list(
  versions = list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
                  emmeans = as.character(packageVersion("emmeans"))),
  influence = influence,
  slopes = list(urban = as.character(slopes$urban), estimate = slopes$age.trend, se = slopes$SE),
  tests = list(term = tests[["model term"]], df1 = tests$df1, f = tests$F.ratio,
               p = tests$p.value))
write_json(out, "expected.json", digits = 15, auto_unbox = TRUE, pretty = TRUE)
