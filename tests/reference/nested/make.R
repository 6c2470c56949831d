# Nested factors: lme4 writes a/b as b:a plus a.
source("../common.R")

students <- read_lmm_data()

write_expected("nested", models = list(
  students = model(extro ~ open + agree + social + (1 | school / class), "students", "lmm_data.csv"),
  pastes = model(strength ~ 1 + (1 | batch / cask), "Pastes", "lme4::Pastes")
))
