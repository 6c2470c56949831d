# What merTools says of a fit. Simulated numbers are here only where its simulation is right, or
# where a test states how it is wrong; seeds are fixed.
source("../common.R")
suppressPackageStartupMessages(library(merTools))
# predictInterval() distributes its work by foreach, which says so without a backend.
foreach::registerDoSEQ()

students <- read_lmm_data()
data(hsb, package = "merTools")
hsb <- as.data.frame(hsb)
three <- droplevels(subset(sleepstudy, Subject %in% c("308", "309", "310")))

quiet <- function(x) suppressWarnings(suppressMessages(x))
quantiles <- c(0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 1)

# character(0) where quantile * J < 1 becomes null
quantiles_of <- function(fit) {
  re <- ranef(fit)
  out <- list()
  for (g in names(re)) for (t in colnames(re[[g]])) {
    out[[length(out) + 1]] <- list(group = g, term = t, levels = lapply(quantiles, function(q) {
      found <- quiet(REquantile(fit, q, g, t))
      if (length(found)) found else NULL
    }))
  }
  out
}

impact_of <- function(fit, data, rows, group, term, breaks = 3, n_sims = 20000) {
  found <- quiet(REimpact(fit, newdata = data[rows, ], groupFctr = group, term = term,
                          breaks = breaks, n.sims = n_sims, seed = 1))
  list(newdata = records(data[rows, ]), n_sims = n_sims, group = group, term = term, breaks = breaks, table = records(found))
}

margins_of <- function(fit, data, rows, group, breaks = 4) {
  found <- as.data.frame(quiet(REmargins(fit, newdata = data[rows, ], groupFctr = group,
                                         breaks = breaks, n.sims = 20000)))
  keep <- c("case", "term", "breaks", group, "fit_combined", "upr_combined", "lwr_combined")
  found <- found[, keep]
  names(found)[4] <- "level"
  list(newdata = records(data[rows, ]), n_sims = 20000, group = group, breaks = breaks,
       table = records(found))
}

# merTools wants a formula in the call, where a polished fit has what prints as one.
average_of <- function(fit) {
  fit@call$formula <- formula(fit)
  lapply(quiet(averageObs(fit)), function(x) unbox(if (is.factor(x)) as.character(x) else x))
}

of <- function(formula, data_name, source) {
  fit <- polished(formula, data_name)
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
       data = list(name = data_name, source = source, rows = nobs(fit)),
       expected_rank = records(expectedRank(fit)),
       re_extract = records(REextract(fit)),
       quantiles = vec(quantiles), re_quantile = quantiles_of(fit),
       average_obs = average_of(fit),
       theta = vec(thetaExtract(fit)), sd = named(REsdExtract(fit)), corr = vec(REcorrExtract(fit)),
       rmse = RMSE.merMod(fit), rmse_scaled = RMSE.merMod(fit, scale = TRUE),
       model_info = as.list(lapply(modelInfo(fit), unbox)),
       fastdisp = vec(capture.output(invisible(fastdisp(fit)))),
       fit = fit)
}

without_fit <- function(model, ...) {
  model$fit <- NULL
  c(model, list(...))
}

m_students <- of(extro ~ open + agree + social + (1 | school), "students", "lmm_data.csv")
m_sleep <- of(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy")
m_nested <- of(extro ~ open + (1 | school / class), "students", "lmm_data.csv")
m_crossed <- of(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin", "lme4::Penicillin")
m_hsb <- of(mathach ~ ses + minority + (ses | schid), "hsb", "merTools::hsb")
m_three <- of(Reaction ~ Days + (1 | Subject), "three", "lme4::sleepstudy, three subjects")

sims <- function(fit) list(n_sims = 20000, re = records(REsim(fit, n.sims = 20000, seed = 1)),
                           fe = records(FEsim(fit, n.sims = 20000, seed = 1)))

frame <- data.frame(a = 1:2, b = c("x", "y"), z = 9)
wiggled <- wiggle(frame, varlist = c("a", "b"), valueslist = list(c(5, 6, 7), c("p", "q")))
icc <- list(sleepstudy = ICC("Reaction", "Subject", sleepstudy), hsb = ICC("mathach", "schid", hsb),
            students = ICC("extro", "school", students),
            sleepstudy_60 = ICC("Reaction", "Subject", sleepstudy, subset = 1:60))

write_expected("mertools", merTools = unbox(as.character(packageVersion("merTools"))),
  models = list(
    students = without_fit(m_students, sims = sims(m_students$fit),
      impact = impact_of(m_students$fit, students, c(1, 700), "school", "(Intercept)"),
      margins = margins_of(m_students$fit, students, c(1, 700), "school")),
    sleepstudy = without_fit(m_sleep, sims = sims(m_sleep$fit),
      impact = impact_of(m_sleep$fit, sleepstudy, c(1, 95), "Subject", "Days"),
      margins = margins_of(m_sleep$fit, sleepstudy, c(1, 95), "Subject")),
    nested = without_fit(m_nested), crossed = without_fit(m_crossed),
    hsb = without_fit(m_hsb,
      impact = impact_of(m_hsb$fit, hsb, c(1, 5000), "schid", "(Intercept)", 4, 4000)),
    three = without_fit(m_three)),
  wiggle = records(wiggled),
  super_factor = vec(levels(superFactor(factor(c("b", "a")), fullLev = c("c", "a", "d")))),
  icc = icc)
