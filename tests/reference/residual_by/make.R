# Residual standard deviations by group: nlme's varIdent and glmmTMB's dispformula, by REML and ML.
# Modes are of nlme's fits. glmmTMB's optimum is driven to a zero gradient by Newton steps.
source("../common.R")
suppressPackageStartupMessages({
  library(nlme)
  library(glmmTMB)
})

read <- function(name) read.csv(file.path("..", "structures", paste0(name, ".csv")))
math <- as.data.frame(nlme::MathAchieve)
math$School <- as.character(math$School)
math <- math[math$School %in% sort(unique(math$School))[1:24], c("School", "Sex", "SES", "MathAch")]
write.csv(math, "mathachieve.csv", row.names = FALSE)
math <- read.csv("mathachieve.csv")
sleep <- lme4::sleepstudy
sleep$late <- as.integer(sleep$Days >= 5)
sleep$Subject <- as.character(sleep$Subject)
frames <- list(orthodont = read("orthodont"), dialyzer = read("dialyzer"), oats = read("oats"),
               ergostool = read("ergostool"), machines = read("machines"), math = math,
               sleepstudy = sleep, penicillin = lme4::Penicillin, students = read_lmm_data())
frames$dialyzer$QB <- as.character(frames$dialyzer$QB)
frames$students$school <- as.character(frames$students$school)
for (name in names(frames)) for (v in names(frames[[name]])) {
  column <- frames[[name]][[v]]
  if (is.factor(column) || is.character(column)) {
    frames[[name]][[v]] <- factor(as.character(column), levels = sort(unique(as.character(column))))
  }
}

by_nlme <- function(name, fixed, random, by, ours, REML) {
  fit <- lme(fixed, frames[[name]], random, weights = varIdent(form = by),
    method = if (REML) "REML" else "ML",
    control = lmeControl(maxIter = 500, msMaxIter = 1000, niterEM = 100, tolerance = 1e-13,
                         msTol = 1e-14, opt = "nlminb", returnObject = TRUE))
  ratios <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  modes <- ranef(fit)
  list(data = name, formula = ours$formula, residual_by = vec(ours$by), package = "nlme", reml = REML,
       log_lik = as.numeric(logLik(fit)), sigma = named(fit$sigma * ratios),
       names = vec(names(fixef(fit))), beta = vec(as.numeric(fixef(fit))),
       se = vec(sqrt(diag(fit$varFix))),
       modes = if (is.null(rownames(modes))) NULL else list(levels = vec(rownames(modes)), values = dense(modes)))
}

polished_tmb <- function(fit) {
  obj <- fit$obj
  par <- fit$fit$par
  for (i in 1:10) {
    g <- obj$gr(par)
    if (max(abs(g)) < 1e-9) break
    trial <- par - solve(optimHess(par, obj$fn, obj$gr), as.numeric(g))
    if (!is.finite(obj$fn(trial)) || obj$fn(trial) > obj$fn(par) + 1e-8) break
    par <- trial
  }
  list(par = par, value = obj$fn(par), gradient = max(abs(obj$gr(par))))
}

by_tmb <- function(name, formula, disp, levels, ours, REML) {
  fit <- glmmTMB(formula, frames[[name]], dispformula = disp, REML = REML, family = gaussian())
  best <- polished_tmb(fit)
  invisible(fit$obj$fn(best$par))
  last <- fit$obj$env$last.par
  sdr <- TMB::sdreport(fit$obj, best$par)
  beta <- if (REML) sdr$par.random[names(sdr$par.random) == "beta"] else best$par[names(best$par) == "beta"]
  se <- if (REML) sqrt(sdr$diag.cov.random[names(sdr$par.random) == "beta"]) else
    sqrt(diag(sdr$cov.fixed))[names(sdr$par.fixed) == "beta"]
  sd <- exp(as.numeric(last[names(last) == "betad"]) / 2)
  list(data = name, formula = ours$formula, residual_by = vec(ours$by), package = "glmmTMB", reml = REML,
       log_lik = -best$value, gradient = best$gradient, sigma = list(names = vec(levels), values = vec(sd)),
       names = vec(names(fixef(fit)$cond)), beta = vec(as.numeric(beta)), se = vec(as.numeric(se)), modes = NULL)
}

cases <- list()
add <- function(key, made) {
  cases[[key]] <<- made
  cat(sprintf("  %s: %.6f\n", key, made$log_lik))
}
ours <- function(formula, by) list(formula = formula, by = by)
for (REML in c(TRUE, FALSE)) {
  s <- if (REML) "_REML" else "_ML"
  add(paste0("students", s), by_nlme("students", extro ~ open + agree + social, ~ 1 | school, ~ 1 | school,
    ours("extro ~ open + agree + social + (1 | school)", "school"), REML))
  add(paste0("orthodont", s), by_nlme("orthodont", distance ~ age * Sex, ~ age | Subject, ~ 1 | Sex,
    ours("distance ~ age * Sex + (age | Subject)", "Sex"), REML))
  add(paste0("dialyzer", s), by_nlme("dialyzer", rate ~ pressure * QB, ~ 1 | Subject, ~ 1 | QB,
    ours("rate ~ pressure * C(QB) + (1 | Subject)", "QB"), REML))
  add(paste0("ergostool", s), by_nlme("ergostool", effort ~ Type, ~ 1 | Subject, ~ 1 | Type,
    ours("effort ~ Type + (1 | Subject)", "Type"), REML))
  add(paste0("oats", s), by_nlme("oats", yield ~ nitro * Variety, list(Block = ~ 1, Variety = ~ 1), ~ 1 | Variety,
    ours("yield ~ nitro * Variety + (1 | Block / Variety)", "Variety"), REML))
  add(paste0("machines", s), by_nlme("machines", score ~ Machine, ~ 1 | Worker, ~ 1 | Machine,
    ours("score ~ Machine + (1 | Worker)", "Machine"), REML))
  add(paste0("math_sex", s), by_nlme("math", MathAch ~ SES, ~ SES | School, ~ 1 | Sex,
    ours("MathAch ~ SES + (SES | School)", "Sex"), REML))
  add(paste0("math_school", s), by_nlme("math", MathAch ~ SES, ~ 1 | School, ~ 1 | School,
    ours("MathAch ~ SES + (1 | School)", "School"), REML))
  add(paste0("math_both", s), by_nlme("math", MathAch ~ SES, ~ 1 | School, ~ 1 | School * Sex,
    ours("MathAch ~ SES + (1 | School)", c("School", "Sex")), REML))
  add(paste0("sleepstudy", s), by_nlme("sleepstudy", Reaction ~ Days, ~ Days | Subject, ~ 1 | late,
    ours("Reaction ~ Days + (Days | Subject)", "late"), REML))
  add(paste0("penicillin", s), by_tmb("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), ~ 0 + sample,
    levels(frames$penicillin$sample), ours("diameter ~ 1 + (1 | plate) + (1 | sample)", "sample"), REML))
}
write_expected("residual_by", peers = lapply(c(nlme = "nlme", glmmTMB = "glmmTMB"),
  function(p) unbox(as.character(packageVersion(p)))), cases = cases)
