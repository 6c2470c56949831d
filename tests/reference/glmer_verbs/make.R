# Verbs of generalised models: likelihood ratios, profiles, R2, means and odds ratios.
#
# Fits by glmmTMB (Laplace's approximation with the observed information) where a likelihood or
# its profile is asked for; lme4's glmer, iterated as far as it goes, for packages that read it.
source("../common.R")
suppressPackageStartupMessages({
  library(glmmTMB)
  library(performance)
  library(emmeans)
  library(broom.mixed)
})

bundled <- function(name) {
  read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
           stringsAsFactors = TRUE)
}
cbpp <- bundled("cbpp")
cbpp$period <- factor(cbpp$period)
contraception <- bundled("contraception")
contraception$district <- factor(contraception$district)

# ------------------------------------------------------------------ likelihood ratios
herds <- glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
none <- glmmTMB(cbind(incidence, size - incidence) ~ 1 + (1 | herd), cbpp, binomial())
plain <- glm(cbind(incidence, size - incidence) ~ period, binomial, cbpp)
slopes <- glmmTMB(use ~ age + I(age^2) + urban + livch + (1 + urban | district), contraception,
                  binomial())
no_slope <- glmmTMB(use ~ age + I(age^2) + urban + livch + (1 | district), contraception,
                    binomial())
dropped <- function(fit) {
  d <- drop1(fit, test = "Chisq")
  list(terms = vec(rownames(d)[-1]), df = vec(d$Df[-1]), aic = vec(d$AIC),
       statistic = vec(d$LRT[-1]), p_value = vec(d[["Pr(>Chi)"]][-1]))
}
ratios <- list(
  anova = list(log_lik = vec(c(as.numeric(logLik(none)), as.numeric(logLik(herds))))),
  drop1_cbpp = dropped(herds), drop1_contraception = dropped(slopes),
  no_herds = as.numeric(logLik(plain)), no_slope = as.numeric(logLik(no_slope)),
  slopes = as.numeric(logLik(slopes))
)

# ------------------------------------------------------------------ profiles
# Ends of 95 % intervals of all parameters (standard deviations by their logarithm): roots of the
# profile deviance, the others by nlminb with TMB's exact gradient. Not of the dispersion, whose
# deviance is flat.
nb <- glmmTMB(size ~ period + (1 | herd), cbpp, nbinom2())
limits <- function(fit) {
  obj <- fit$obj
  best <- nlminb(fit$fit$par, obj$fn, obj$gr, control = list(rel.tol = 1e-14, x.tol = 1e-12))
  rise <- qchisq(0.95, 1) / 2
  se <- sqrt(diag(fit$sdr$cov.fixed))
  end <- function(i, sign) {
    z <- best$par[-i]
    f <- function(u) {
      full <- function(v) replace(replace(best$par, -i, v), i, u)
      o <- nlminb(z, function(v) obj$fn(full(v)), function(v) as.numeric(obj$gr(full(v)))[-i],
                  control = list(rel.tol = 1e-14, x.tol = 1e-12))
      z <<- o$par
      o$objective - best$objective - rise
    }
    ends <- best$par[i] + sign * se[i] * c(0.5, 6)
    if (f(ends[2]) < 0) return(NA)
    z <<- best$par[-i]
    uniroot(f, sort(ends), tol = 1e-10)$root
  }
  n <- which(!names(best$par) %in% c("betad", "betadisp"))
  low <- vapply(n, end, 1, sign = -1)
  high <- vapply(n, end, 1, sign = 1)
  print(cbind(low, high))
  list(parameters = vec(names(best$par)[n]), low = lapply(low, unbox_na), high = lapply(high, unbox_na))
}
profiles <- list(cbpp = limits(herds), nb = limits(nb))

# ------------------------------------------------------------------ lme4 and who reads it
tight <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
               control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12,
                                      optCtrl = list(rhobeg = 2e-4, rhoend = 1e-10, maxfun = 1e5)))
counts <- glmer(incidence ~ period + (1 | herd), cbpp, poisson,
                control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12,
                                       optCtrl = list(rhobeg = 2e-4, rhoend = 1e-10, maxfun = 1e5)))
shares <- function(fit) {
  r <- r2_nakagawa(fit)
  i <- performance::icc(fit)
  list(marginal = as.numeric(r$R2_marginal), conditional = as.numeric(r$R2_conditional),
       icc = i$ICC_adjusted, icc_unadjusted = i$ICC_unadjusted)
}
means <- as.data.frame(emmeans(tight, ~period, type = "response"))
odds <- as.data.frame(pairs(emmeans(tight, ~period), type = "response", adjust = "none"))
print(means); print(odds)
print(shares(tight)); print(shares(counts))
ratio <- as.data.frame(tidy(tight, effects = "fixed", exponentiate = TRUE, conf.int = TRUE))
print(ratio)
lme4 <- list(
  cbpp = shares(tight), counts = shares(counts),
  vcov = dense(vcov(tight)),
  means = list(prob = vec(means$prob), se = vec(means$SE), low = vec(means$asymp.LCL),
               high = vec(means$asymp.UCL)),
  odds = list(contrast = vec(as.character(odds$contrast)), ratio = vec(odds$odds.ratio),
              se = vec(odds$SE), z = vec(odds$z.ratio), p_value = vec(odds$p.value)),
  tidy = list(estimate = vec(ratio$estimate), se = vec(ratio$std.error), low = vec(ratio$conf.low),
              high = vec(ratio$conf.high))
)
write_expected("glmer_verbs", ratios = ratios, profiles = profiles, lme4 = lme4)
