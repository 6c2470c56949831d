# Random slopes: correlated, uncorrelated, unbalanced, and badly scaled.
source("../common.R")

dropped <- c(3, 17, 18, 19, 40, 55, 77, 90, 91, 92, 93, 120, 151, 180)
thinned <- sleepstudy[-dropped, ]
milli <- transform(sleepstudy, DaysK = Days * 1000)

# The factor's second row is a thousandth of the one for Days. lme4's own start is hopeless
# there, so the scaled optimum of the plain model is where the search begins.
shrink <- c(1, 1e-3, 1e-3)
start <- lapply(list(REML = TRUE, ML = FALSE), function(REML)
  getME(polished(Reaction ~ Days + (Days | Subject), "sleepstudy", REML), "theta") * shrink)

write_expected("slopes", models = list(
  correlated = model(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy"),
  uncorrelated = model(Reaction ~ Days + (Days || Subject), "sleepstudy", "lme4::sleepstudy"),
  thinned_correlated = model(Reaction ~ Days + (Days | Subject), "thinned", "lme4::sleepstudy", dropped),
  thinned_uncorrelated = model(Reaction ~ Days + (Days || Subject), "thinned", "lme4::sleepstudy", dropped),
  scaled = model(Reaction ~ DaysK + (DaysK | Subject), "milli", "lme4::sleepstudy",
                 start = start, unit = shrink, note = "DaysK = Days * 1000")
))
