# Rubin's rules by mice (Debian: r-cran-mice), on data sets that differ by a known wave.
source("../common.R")
suppressPackageStartupMessages({
  library(mice)
  library(broom.mixed)
})

waves <- function(data, y, size) {
  lapply(1:5, function(j) {
    data[[y]] <- data[[y]] + size * sin(j * seq_len(nrow(data)) / 25)
    data
  })
}

fit <- function(formula, data) {
  lmer(formula, data, control = lmerControl(
    optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e5), calc.derivs = FALSE))
}

pooled <- function(formula, data, y, size) {
  fits <- lapply(waves(data, y, size), function(d) fit(formula, d))
  n <- nrow(data)
  of <- function(dfcom) {
    out <- pool(as.mira(fits), dfcom = dfcom)$pooled
    as.list(out[c("estimate", "ubar", "b", "t", "df", "riv", "lambda", "fmi")])
  }
  list(formula = deparse(formula), size = size,
       terms = vec(names(fixef(fits[[1]]))),
       residual = of(n - length(fixef(fits[[1]]))), asymptotic = of(Inf))
}

write_expected("pooling",
  sleepstudy = pooled(Reaction ~ Days + (Days | Subject), sleepstudy, "Reaction", 25),
  penicillin = pooled(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, "diameter", 1.5))
