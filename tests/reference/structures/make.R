# Covariance structures (glmmTMB) and residual variances by group (nlme), by REML and ML.
source("../glmmtmb.R")

frames <- list(
  orthodont = as.data.frame(nlme::Orthodont),
  oats = as.data.frame(nlme::Oats),
  machines = as.data.frame(nlme::Machines),
  bodyweight = as.data.frame(nlme::BodyWeight),
  dialyzer = as.data.frame(nlme::Dialyzer),
  sleepstudy = lme4::sleepstudy,
  ergostool = as.data.frame(nlme::ergoStool)
)
frames <- lapply(frames, sorted_factors)
frames$bodyweight$T <- factor(frames$bodyweight$Time)
frames$sleepstudy$D <- factor(frames$sleepstudy$Days)
frames$dialyzer$I <- factor(frames$dialyzer$index)
frames$orthodont$A <- factor(frames$orthodont$age)
for (name in names(frames)) write.csv(frames[[name]], paste0(name, ".csv"), row.names = FALSE)

tmb <- function(name, formula, ours, REML) {
  found <- fit_tmb(frames[[name]], formula, REML, steps = 8)
  c(list(data = name, formula = ours, package = "glmmTMB", reml = REML, log_lik = -found$best$value,
         gradient = found$best$gradient, sigma = sigma_of(found), terms = terms_of(found)),
    fixed_of(found, REML))
}

by_group <- function(name, fixed, random, form, ours, by, REML) {
  fit <- lme(fixed, data = frames[[name]], random = random, weights = varIdent(form = form),
    method = if (REML) "REML" else "ML",
    control = lmeControl(maxIter = 500, msMaxIter = 500, niterEM = 50, tolerance = 1e-12, msTol = 1e-12,
                         opt = "nlminb", returnObject = TRUE))
  ratios <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  list(data = name, formula = ours, residual_by = by, package = "nlme", reml = REML,
       log_lik = as.numeric(logLik(fit)), sigma = fit$sigma,
       ratios = list(names = I(names(ratios)), values = I(as.numeric(ratios))),
       covariance = I(matrix(as.numeric(getVarCov(fit)), nrow(getVarCov(fit)))),
       names = I(names(fixef(fit))), beta = I(unname(as.numeric(fixef(fit)))),
       se = I(unname(sqrt(diag(fit$varFix)))))
}

hom_cs <- function(name, fixed, random, ours, REML) {
  fit <- lme(fixed, data = frames[[name]], random = random, method = if (REML) "REML" else "ML",
    control = lmeControl(maxIter = 500, msMaxIter = 500, tolerance = 1e-12, msTol = 1e-12))
  g <- matrix(as.numeric(getVarCov(fit)), nrow(getVarCov(fit)))
  list(data = name, formula = ours, package = "nlme", reml = REML, log_lik = as.numeric(logLik(fit)),
       sigma = fit$sigma, terms = list(list(sd = I(sqrt(diag(g))), cor = I(cov2cor(g)[, 1]))),
       names = I(names(fixef(fit))), beta = I(unname(as.numeric(fixef(fit)))), se = I(unname(sqrt(diag(fit$varFix)))))
}

cases <- list()
for (REML in c(TRUE, FALSE)) {
  suffix <- if (REML) "REML" else "ML"
  add <- function(key, value) cases[[paste(key, suffix, sep = "_")]] <<- value
  add("us_orthodont", tmb("orthodont", distance ~ age + us(1 + age | Subject), "distance ~ age + us(age | Subject)", REML))
  add("diag_orthodont", tmb("orthodont", distance ~ age + diag(1 + age | Subject), "distance ~ age + diag(age | Subject)", REML))
  add("diag_machines", tmb("machines", score ~ Machine + diag(0 + Machine | Worker), "score ~ Machine + diag(0 + Machine | Worker)", REML))
  add("cs_machines", tmb("machines", score ~ Machine + cs(0 + Machine | Worker), "score ~ Machine + cs(0 + Machine | Worker)", REML))
  add("homcs_machines", hom_cs("machines", score ~ Machine, list(Worker = pdCompSymm(~ Machine - 1)), "score ~ Machine + cs(0 + Machine | Worker, hom=True)", REML))
  add("homcs_oats", hom_cs("oats", yield ~ nitro * Variety, list(Block = pdCompSymm(~ Variety - 1)), "yield ~ nitro * Variety + cs(0 + Variety | Block, hom=True)", REML))
  add("ar1_sleepstudy", tmb("sleepstudy", Reaction ~ Days + ar1(0 + D | Subject), "Reaction ~ Days + ar1(0 + D | Subject)", REML))
  add("ar1_beside_sleepstudy", tmb("sleepstudy", Reaction ~ Days + (1 | Subject) + ar1(0 + D | Subject), "Reaction ~ Days + (1 | Subject) + ar1(0 + D | Subject)", REML))
  add("ar1_bodyweight", tmb("bodyweight", weight ~ Time * Diet + (1 | Rat) + ar1(0 + T | Rat), "weight ~ Time * Diet + (1 | Rat) + ar1(0 + T | Rat)", REML))
  add("cs_bodyweight", tmb("bodyweight", weight ~ Time * Diet + diag(1 + Time | Rat), "weight ~ Time * Diet + diag(Time | Rat)", REML))
  add("sex_orthodont", by_group("orthodont", distance ~ age * Sex, ~ age | Subject, ~ 1 | Sex, "distance ~ age * Sex + (age | Subject)", "Sex", REML))
  add("qb_dialyzer", by_group("dialyzer", rate ~ pressure * QB, ~ pressure | Subject, ~ 1 | QB, "rate ~ pressure * QB + (pressure | Subject)", "QB", REML))
  add("type_ergostool", by_group("ergostool", effort ~ Type, ~ 1 | Subject, ~ 1 | Type, "effort ~ Type + (1 | Subject)", "Type", REML))
  add("variety_oats", by_group("oats", yield ~ nitro * Variety, ~ 1 | Block, ~ 1 | Variety, "yield ~ nitro * Variety + (1 | Block)", "Variety", REML))
}
write_cases(cases)
