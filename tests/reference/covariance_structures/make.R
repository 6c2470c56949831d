# Covariance structures on further data sets (glmmTMB), by REML and ML, with the conditional modes.
source("../glmmtmb.R")

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
frames <- lapply(frames, sorted_factors)
frames$oxboys$Occasion <- factor(as.numeric(as.character(frames$oxboys$Occasion)))
frames$dialyzer$I <- factor(frames$dialyzer$index)
frames$orthodont$A <- factor(frames$orthodont$age)
# The others are beside the topic `structures`.
for (name in c("oxboys", "chickweight", "pixel", "sleepstudy")) {
  write.csv(frames[[name]], paste0(name, ".csv"), row.names = FALSE)
}

case <- function(name, formula, ours, REML) {
  found <- fit_tmb(frames[[name]], formula, REML, steps = 12)
  c(list(data = name, formula = ours, reml = REML, log_lik = -found$best$value,
         gradient = found$best$gradient, sigma = sigma_of(found), terms = terms_of(found)),
    fixed_of(found, REML), list(modes = I(as.numeric(found$last[names(found$last) == "b"]))))
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
write_cases(cases)
