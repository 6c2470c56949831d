# Parametric bootstraps: means and standard deviations of lme4's bootMer at 10 000 replicates, the
# reference distributions of pbkrtest's PBmodcomp, with their Monte Carlo errors.
source("../common.R")
suppressPackageStartupMessages(library(pbkrtest))

N <- 10000
students <- read_lmm_data()
data(sleepstudy, Pastes, package = "lme4")
few <- droplevels(subset(sleepstudy, Subject %in% levels(Subject)[1:6] & Days < 4))

parameters <- function(m) {
  v <- as.data.frame(VarCorr(m), order = "lower.tri")
  c(v$sdcor, fixef(m))
}
parameter_names <- function(m) {
  v <- as.data.frame(VarCorr(m), order = "lower.tri")
  own <- ifelse(v$grp == "Residual", "sigma",
                ifelse(is.na(v$var2), paste0("sd_", v$var1, "|", v$grp),
                       paste0("cor_", v$var2, ".", v$var1, "|", v$grp)))
  gsub("(Intercept)", "Intercept", c(own, names(fixef(m))), fixed = TRUE)
}
# The standard error of a standard deviation from the fourth moment: no normality is assumed.
bootstrap_of <- function(formula, data_name, seed) {
  m <- do.call(lmer, list(formula, as.name(data_name)))
  t <- suppressMessages(suppressWarnings(bootMer(m, parameters, nsim = N, seed = seed)))$t
  used <- lapply(seq_len(ncol(t)), function(j) t[is.finite(t[, j]), j])
  each <- function(f) vec(vapply(used, f, numeric(1)))
  sd_se <- function(x) {
    d <- (x - mean(x))^2
    sqrt((mean(d^2) - mean(d)^2) / length(x)) / (2 * sd(x))
  }
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "), data = data_name,
       n_sims = N, seed = seed, names = vec(parameter_names(m)), n_finite = each(length),
       mean = each(mean), mean_se = each(function(x) sd(x) / sqrt(length(x))),
       sd = each(sd), sd_se = each(sd_se),
       low = each(function(x) quantile(x, 0.05)), high = each(function(x) quantile(x, 0.95)),
       singular = mean(apply(t[, grepl("^sd_", parameter_names(m)), drop = FALSE] /
                               t[, parameter_names(m) == "sigma"] < 1e-4, 1, any)))
}
test_of <- function(large, small, data_name, seed) {
  fit <- function(f) do.call(lmer, list(f, as.name(data_name), REML = FALSE))
  big <- fit(large)
  pb <- summary(PBmodcomp(big, fit(small), nsim = N, seed = seed))
  ref <- as.numeric(pb$ref)
  list(large = deparse(large), small = deparse(small), data = data_name, n_sims = N, seed = seed,
       samples = vec(pb$samples), rows = vec(rownames(pb$test)), stat = vec(pb$test$stat),
       df = vec(pb$test$df), ddf = vec(pb$test$ddf), p_value = vec(pb$test$p.value),
       mean = mean(ref), mean_se = sd(ref) / sqrt(N), var = var(ref))
}

timed <- function(x) { t <- system.time(x)[3]; cat(sprintf("%.0f s\n", t)); x }
models <- list(
  students = timed(bootstrap_of(extro ~ open + agree + social + (1 | school), "students", 1)),
  sleepstudy = timed(bootstrap_of(Reaction ~ Days + (Days | Subject), "sleepstudy", 2)),
  pastes = timed(bootstrap_of(strength ~ 1 + (1 | batch/cask), "Pastes", 3)))
tests <- list(
  days = timed(test_of(Reaction ~ Days + (1 | Subject), Reaction ~ 1 + (1 | Subject), "few", 4)),
  factor = timed(test_of(Reaction ~ factor(Days) + (1 | Subject), Reaction ~ Days + (1 | Subject),
                         "few", 5)))
write_expected("bootstrap", models = models, tests = tests)
