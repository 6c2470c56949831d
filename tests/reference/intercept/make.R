# Random intercepts: one scalar term.
source("../common.R")

students <- read_lmm_data()

write_expected("intercept", models = list(
  students = model(extro ~ open + agree + social + (1 | school), "students", "lmm_data.csv"),
  sleepstudy = model(Reaction ~ Days + (1 | Subject), "sleepstudy", "lme4::sleepstudy"),
  dyestuff = model(Yield ~ 1 + (1 | Batch), "Dyestuff", "lme4::Dyestuff")
))
