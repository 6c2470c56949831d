# Generalised models by glmmTMB, driven to a zero gradient, and lme4's answers on cbpp.
#
# glmmTMB maximises Laplace's approximation with the observed information, jointly over all
# parameters, with an exact gradient. Newton steps with the Hessian by fourth-order differences of
# that gradient end at a gradient of about 1e-12, in which nothing of its optimiser is left.
source("../common.R")
suppressPackageStartupMessages(library(glmmTMB))

bundled <- function(name) {
  read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
           stringsAsFactors = TRUE)
}
cbpp <- bundled("cbpp")
cbpp$row <- seq_len(nrow(cbpp))
contraception <- bundled("contraception")
verb_agg <- bundled("verb_agg")
grouseticks <- read.csv("grouseticks.csv", stringsAsFactors = TRUE)
epil <- read.csv("epil.csv", stringsAsFactors = TRUE)
epil$row <- seq_len(nrow(epil))
generated <- read.csv("generated.csv")

hessian <- function(gr, p) {
  H <- matrix(0, length(p), length(p))
  for (i in seq_along(p)) {
    step <- 2e-3 * max(0.1, abs(p[i]))
    at <- function(k) { q <- p; q[i] <- q[i] + k * step; as.numeric(gr(q)) }
    H[i, ] <- (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
  }
  (H + t(H)) / 2
}

polish <- function(fit) {
  p <- fit$fit$par
  for (i in 1:6) p <- p - as.numeric(solve(hessian(fit$obj$gr, p), as.numeric(fit$obj$gr(p))))
  fit$obj$fn(p)
  names(p) <- names(fit$fit$par)
  p
}

model <- function(formula, data, family, ...) {
  fit <- glmmTMB(formula, data = get(data), family = family, ...)
  p <- polish(fit)
  H <- hessian(fit$obj$gr, p)
  V <- solve(H)
  beta <- names(p) == "beta"
  score <- sqrt(diag(V)) * as.numeric(fit$obj$gr(p))
  stopifnot(max(abs(score)) < 1e-9)
  vc <- VarCorr(fit)$cond
  sizes <- vapply(vc, nrow, 1L)
  theta <- p[names(p) == "theta"]
  at <- 0; terms <- list()
  for (i in seq_along(sizes)) {
    k <- sizes[[i]]
    sd <- exp(theta[at + seq_len(k)]); at <- at + k
    R <- diag(k)
    if (k == 2) {
      L <- matrix(c(1, theta[at + 1], 0, 1), 2); at <- at + 1
      R <- cov2cor(L %*% t(L))
    }
    terms[[i]] <- list(group = unbox(names(vc)[i]), covariance = dense(R * outer(sd, sd)))
  }
  cat(sprintf("  %s %s: logLik %.9f, largest score %.1e\n", data, family$link, -fit$obj$fn(p),
              max(abs(score))))
  list(data = unbox(data), log_lik = unbox(-as.numeric(fit$obj$fn(p))),
       beta = vec(p[beta]), names = vec(names(fixef(fit)$cond)), vcov = dense(V[beta, beta, drop = FALSE]),
       terms = terms, dispersion = vec(p[names(p) %in% c("betad", "betadisp")]))
}

negbin <- nbinom2()
models <- list(
  cbpp = model(cbind(incidence, size - incidence) ~ factor(period) + (1 | herd), "cbpp", binomial()),
  cbpp_probit = model(cbind(incidence, size - incidence) ~ factor(period) + (1 | herd), "cbpp",
                      binomial("probit")),
  cbpp_cloglog = model(cbind(incidence, size - incidence) ~ factor(period) + (1 | herd), "cbpp",
                       binomial("cloglog")),
  cbpp_rows = model(cbind(incidence, size - incidence) ~ factor(period) + (1 | row) + (1 | herd),
                    "cbpp", binomial()),
  contraception = model(use ~ age + I(age^2) + urban + livch + (1 | district), "contraception",
                        binomial()),
  contraception_slopes = model(use ~ age + I(age^2) + urban + livch + (1 + urban | district),
                               "contraception", binomial()),
  contraception_probit = model(use ~ age + urban + (1 | district), "contraception",
                               binomial("probit")),
  verb_agg = model(r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item), "verb_agg",
                   binomial()),
  grouseticks = model(TICKS ~ factor(YEAR) + I((HEIGHT - 462) / 100) + (1 | INDEX) + (1 | BROOD) +
                        (1 | LOCATION), "grouseticks", poisson()),
  epil_rows = model(y ~ log(base / 4) * trt + log(age) + V4 + (1 | row) + (1 | subject), "epil",
                    poisson()),
  epil_nb = model(y ~ log(base / 4) * trt + log(age) + V4 + (1 | subject), "epil", negbin),
  accidents = model(accidents ~ x + offset(log(exposure)) + (1 | site) + (1 | region), "generated",
                    negbin),
  accidents_poisson = model(accidents ~ x + offset(log(exposure)) + (1 | site) + (0 + x | site),
                            "generated",
                            poisson()),
  cost = model(cost ~ x + (1 + x | site), "generated", Gamma("log")),
  rate = model(rate ~ x + (1 | site), "generated", Gamma("inverse"),
               start = list(beta = c(1.2, 0), theta = log(0.2))),
  length = model(length ~ x + (1 | site), "generated", gaussian("log"),
                 start = list(beta = c(0.8, 0.2), theta = log(0.4)))
)

# ------------------------------------------------------------ lme4, iterated as far as it goes
tight <- glmer(cbind(incidence, size - incidence) ~ factor(period) + (1 | herd), cbpp, binomial,
               control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12,
                                      optCtrl = list(rhobeg = 2e-4, rhoend = 1e-10, maxfun = 1e5)))
kind <- function(type) vec(residuals(tight, type = type))
lme4 <- list(
  log_lik = unbox(as.numeric(logLik(tight))), aic = unbox(AIC(tight)), bic = unbox(BIC(tight)),
  residuals = list(deviance = kind("deviance"), pearson = kind("pearson"),
                   working = kind("working"), response = kind("response")),
  ranef = vec(ranef(tight)$herd[[1]]),
  cond_sd = vec(sqrt(attr(ranef(tight, condVar = TRUE)$herd, "postVar")[1, 1, ])),
  link = vec(predict(tight, type = "link")), response = vec(predict(tight, type = "response")),
  population = vec(predict(tight, type = "response", re.form = NA))
)

write_expected("glmer", models = models, lme4 = lme4)
