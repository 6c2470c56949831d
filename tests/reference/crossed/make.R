# Crossed factors, complete and with cells missing.
source("../common.R")

dropped <- c(1, 2, 3, 10, 25, 26, 27, 50, 77, 100, 101, 143)
thinned <- Penicillin[-dropped, ]

write_expected("crossed", models = list(
  penicillin = model(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin", "lme4::Penicillin"),
  penicillin_thinned = model(diameter ~ 1 + (1 | plate) + (1 | sample), "thinned", "lme4::Penicillin", dropped)
))
