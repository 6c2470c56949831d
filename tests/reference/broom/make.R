# Tidy tables: broom.mixed's tidy, glance and augment of fits at their exact optimum, and the
# standard errors of the levels' coefficients, which it does not give, by a dense inverse.
source("../common.R")
suppressPackageStartupMessages({
  library(broom.mixed)
  library(lmerTest)
})

bundled <- function(name) read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
                                   stringsAsFactors = FALSE)
sleep <- bundled("sleepstudy")
sleep$Subject <- factor(sleep$Subject)
weighted <- sleep
weighted$w <- 1 + seq_len(nrow(sleep)) %% 3
weighted$off <- seq_len(nrow(sleep)) / 10
students <- bundled("students")
pastes <- bundled("pastes")
penicillin <- bundled("penicillin")
dyestuff2 <- as.data.frame(lme4::Dyestuff2)

columns <- function(d) {
  lapply(as.list(as.data.frame(d)), function(v) {
    if (is.numeric(v)) lapply(v, function(x) unbox_na(if (is.nan(x)) NA else x)) else lapply(as.character(v), unbox_na)
  })
}

# Standard errors of beta + b by level and coefficient, from Henderson's equations in full.
coefficient_errors <- function(fit) {
  X <- getME(fit, "X")
  ZL <- as.matrix(getME(fit, "Z") %*% getME(fit, "Lambda"))
  w <- weights(fit)
  p <- ncol(X)
  M <- crossprod(cbind(X, ZL) * sqrt(w)) + diag(c(rep(0, p), rep(1, ncol(ZL))))
  T <- diag(p + ncol(ZL))
  T[-seq_len(p), -seq_len(p)] <- as.matrix(getME(fit, "Lambda"))
  C <- sigma(fit)^2 * T %*% solve(M, t(T))
  Gp <- getME(fit, "Gp")
  cnms <- getME(fit, "cnms")
  out <- list()
  for (g in names(coef(fit))) {
    table <- coef(fit)[[g]]
    se <- matrix(NA, nrow(table), ncol(table))
    for (column in seq_len(ncol(table))) {
      for (j in seq_len(nrow(table))) {
        a <- rep(0, nrow(C))
        a[match(names(table)[column], colnames(X))] <- 1
        for (t in which(names(cnms) == g)) {
          k <- match(names(table)[column], cnms[[t]])
          if (!is.na(k)) a[p + Gp[t] + (j - 1) * length(cnms[[t]]) + k] <- 1
        }
        se[j, column] <- sqrt(sum(a * (C %*% a)))
      }
    }
    out[[g]] <- list(levels = vec(rownames(table)), terms = vec(names(table)), values = dense(se))
  }
  out
}

one <- function(formula, data_name, REML = TRUE, ..., ddf = TRUE) {
  fit <- polished(formula, data_name, REML, ...)
  quiet <- function(...) suppressWarnings(tidy(...))
  out <- list(
    tidy = columns(quiet(fit, effects = c("ran_pars", "fixed"), conf.int = TRUE)),
    vcov = columns(quiet(fit, effects = "ran_pars", scales = "vcov")),
    ran_vals = columns(quiet(fit, effects = "ran_vals", conf.int = TRUE)),
    ran_coefs = columns(quiet(fit, effects = "ran_coefs")),
    coefficient_errors = coefficient_errors(fit),
    glance = columns(glance(fit)),
    augment = columns(augment(fit))
  )
  if (ddf) {
    lt <- lmerTest:::as_lmerModLT(fit, devfun_of(formula, data_name, REML))
    out$satterthwaite <- columns(quiet(lt, effects = "fixed", conf.int = TRUE))
    if (REML) out$kenward_roger <- columns(quiet(lt, effects = "fixed", conf.int = TRUE, ddf.method = "Kenward-Roger"))
  }
  o <- attr(fit, "optimum")
  cat(sprintf("  %s: theta error %.1e\n", deparse(formula, width.cutoff = 200), o$theta_error))
  out
}

models <- list(
  intercept = one(extro ~ open + agree + social + (1 | school), "students"),
  slopes = one(Reaction ~ Days + (Days | Subject), "sleep"),
  uncorrelated = one(Reaction ~ Days + (Days || Subject), "sleep", REML = FALSE),
  nested = one(strength ~ 1 + (1 | batch / cask), "pastes"),
  crossed = one(diameter ~ 1 + (1 | plate) + (1 | sample), "penicillin"),
  singular = one(Yield ~ 1 + (1 | Batch), "dyestuff2"),
  weighted = one(Reaction ~ Days + offset(off) + (Days | Subject), "weighted", weights = weighted$w, ddf = FALSE)
)
# The students are many: the first rows will do.
models$intercept$augment <- lapply(models$intercept$augment, function(v) v[1:50])

write_expected("broom", broom.mixed = unbox(as.character(packageVersion("broom.mixed"))),
               lmerTest = unbox(as.character(packageVersion("lmerTest"))), models = models)
