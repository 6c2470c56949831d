# Optima on the boundary: a variance of zero, and a correlation of one.
source("../common.R")

# A response with a random intercept and slope that move together, drawn until lme4's optimum
# is singular by both criteria. Rounded: the numbers in the JSON are the data, to the last digit.
draw <- function(seed) {
  set.seed(seed)
  b <- rnorm(18, 0, 20)
  s <- sleepstudy
  g <- as.integer(s$Subject)
  round(250 + 10 * s$Days + b[g] + 0.2 * b[g] * s$Days + rnorm(nrow(s), 0, 30), 3)
}
is_singular <- function(seed) {
  twisted <<- transform(sleepstudy, y = draw(seed))
  all(vapply(c(TRUE, FALSE), function(REML) {
    vc <- VarCorr(suppressMessages(lmer(y ~ Days + (Days | Subject), twisted, REML = REML)))$Subject
    corr <- attr(vc, "correlation")[2, 1]
    is.finite(corr) && abs(corr) > 0.9999 && min(attr(vc, "stddev")) > 1
  }, logical(1)))
}
seed <- 1
while (!is_singular(seed)) seed <- seed + 1
cat("seed", seed, "\n")

perfect <- model(y ~ Days + (Days | Subject), "twisted", "lme4::sleepstudy",
                 note = "y is given here; Days and Subject are sleepstudy's, in its row order")
perfect$data$seed <- seed
perfect$data$y <- vec(twisted$y)

zero <- model(Yield ~ 1 + (1 | Batch), "Dyestuff2", "lme4::Dyestuff2")
zero$data$y <- vec(Dyestuff2$Yield)
zero$data$batch <- vec(as.character(Dyestuff2$Batch))

write_expected("singular", models = list(dyestuff2 = zero, perfect_correlation = perfect))
