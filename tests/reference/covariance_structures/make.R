# Covariance structures on further data sets (glmmTMB), by REML and ML, with the conditional modes.
#
# The optimum is driven to a zero gradient by Newton steps on the exact gradient.
suppressPackageStartupMessages({
  library(glmmTMB)
  library(nlme)
  library(jsonlite)
})
options(stringsAsFactors = FALSE, warn = 1)

frames <- list(
  oxboys = as.data.frame(nlme::Oxboys),
  chickweight = subset(as.data.frame(datasets::ChickWeight), Time < 21),
  dialyzer = as.data.frame(nlme::Dialyzer),
  oats = as.data.frame(nlme::Oats),
  machines = as.data.frame(nlme::Machines),
  orthodont = as.data.frame(nlme::Orthodont),
  pixel = as.data.frame(nlme::Pixel),
  sleepstudy = lme4::sleepstudy
)
for (name in names(frames)) for (v in names(frames[[name]])) {
  column <- frames[[name]][[v]]
  if (is.factor(column)) frames[[name]][[v]] <- factor(as.character(column), levels = sort(unique(as.character(column))))
}
frames$oxboys$Occasion <- factor(as.numeric(as.character(frames$oxboys$Occasion)))
frames$dialyzer$I <- factor(frames$dialyzer$index)
frames$orthodont$A <- factor(frames$orthodont$age)
for (name in names(frames)) write.csv(frames[[name]], paste0(name, ".csv"), row.names = FALSE)

polished <- function(fit) {
  obj <- fit$obj
  par <- fit$fit$par
  for (i in 1:12) {
    g <- obj$gr(par)
    if (max(abs(g)) < 1e-9) break
    step <- try(solve(optimHess(par, obj$fn, obj$gr), as.numeric(g)), silent = TRUE)
    if (inherits(step, "try-error")) break
    trial <- par - step
    if (!is.finite(obj$fn(trial)) || obj$fn(trial) > obj$fn(par) + 1e-8) break
    par <- trial
  }
  list(par = par, value = obj$fn(par), gradient = max(abs(obj$gr(par))))
}

case <- function(name, formula, ours, REML) {
  fit <- suppressWarnings(glmmTMB(formula, data = frames[[name]], REML = REML, family = gaussian(),
    control = glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-14))))
  best <- polished(fit)
  invisible(fit$obj$fn(best$par))
  last <- fit$obj$env$last.par
  rep <- fit$obj$report(last)
  terms <- lapply(seq_along(rep$sd), function(i) list(
    sd = I(as.numeric(rep$sd[[i]])),
    cor = I(as.numeric(if (length(rep$corr) >= i && length(rep$corr[[i]]) > 1) rep$corr[[i]][, 1] else numeric(0)))))
  sdr <- TMB::sdreport(fit$obj, best$par, getJointPrecision = FALSE)
  beta <- if (REML) sdr$par.random[names(sdr$par.random) == "beta"] else sdr$par.fixed[names(sdr$par.fixed) == "beta"]
  se <- if (REML) sqrt(sdr$diag.cov.random[names(sdr$par.random) == "beta"]) else sqrt(diag(sdr$cov.fixed))[names(sdr$par.fixed) == "beta"]
  list(data = name, formula = ours, reml = REML, log_lik = -best$value, gradient = best$gradient,
       sigma = as.numeric(exp(0.5 * last[names(last) == "betad"])), terms = terms,
       names = I(names(fixef(fit)$cond)), beta = I(as.numeric(beta)), se = I(as.numeric(se)),
       modes = I(as.numeric(last[names(last) == "b"])))
}

cases <- list()
for (REML in c(TRUE, FALSE)) {
  add <- function(key, ...) cases[[paste(key, if (REML) "REML" else "ML", sep = "_")]] <<- case(..., REML = REML)
  add("diag_oxboys", "oxboys", height ~ age + diag(1 + age | Subject), "height ~ age + diag(age | Subject)")
  add("ar1_oxboys", "oxboys", height ~ age + ar1(0 + Occasion | Subject), "height ~ age + ar1(0 + Occasion | Subject)")
  add("diag_chickweight", "chickweight", weight ~ Time * Diet + diag(1 + Time | Chick), "weight ~ Time * Diet + diag(Time | Chick)")
  add("ar1_dialyzer", "dialyzer", rate ~ pressure + QB + ar1(0 + I | Subject), "rate ~ pressure + QB + ar1(0 + I | Subject)")
  add("cs_oats", "oats", yield ~ nitro * Variety + cs(0 + Variety | Block), "yield ~ nitro * Variety + cs(0 + Variety | Block)")
  add("cs_machines", "machines", score ~ Machine + cs(0 + Machine | Worker), "score ~ Machine + cs(0 + Machine | Worker)")
  add("cs_orthodont", "orthodont", distance ~ age * Sex + cs(1 + age | Subject), "distance ~ age * Sex + cs(age | Subject)")
  add("diag_pixel", "pixel", pixel ~ day + I(day^2) + diag(1 + day | Dog) + (1 | Side:Dog), "pixel ~ day + I(day**2) + diag(day | Dog) + (1 | Side:Dog)")
  add("diag_sleepstudy", "sleepstudy", Reaction ~ Days + diag(1 + Days | Subject), "Reaction ~ Days + diag(Days | Subject)")
}
versions <- sapply(c("glmmTMB", "nlme", "TMB"), function(p) as.character(packageVersion(p)))
write_json(list(R = R.version.string, versions = as.list(versions), cases = cases), "expected.json",
           digits = 15, auto_unbox = TRUE, pretty = TRUE)
