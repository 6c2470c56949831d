# The answers of merMod's own methods, one REML fit per shape of model.
source("../common.R")

students <- read_lmm_data()

factor_of <- function(fit) {
  La <- getME(fit, "Lambda")
  ZL <- getME(fit, "Z") %*% La
  X <- getME(fit, "X")
  M <- as.matrix(crossprod(ZL)) + diag(ncol(ZL))
  L <- getME(fit, "L")
  P <- as.integer(L@perm)
  lower <- as.matrix(as(L, "sparseMatrix"))
  stopifnot(max(abs(lower %*% t(lower) - M[P + 1, P + 1])) < 1e-8 * max(M))
  natural <- t(chol(M))
  # lme4's RZX is in the permuted order; the natural one needs no permutation to compare with.
  stopifnot(max(abs(forwardsolve(lower, as.matrix(crossprod(ZL, X))[P + 1, , drop = FALSE]) -
                      getME(fit, "RZX"))) < 1e-8 * max(abs(getME(fit, "RZX"))))
  list(L = dense(lower), perm = vec(P), perm_is_identity = identical(P, seq_along(P) - 1L),
       L_natural = dense(natural), RZX = dense(getME(fit, "RZX")),
       RZX_natural = dense(forwardsolve(natural, as.matrix(crossprod(ZL, X)))),
       RX = dense(getME(fit, "RX")), Lambda = dense(La), Lambdat = dense(getME(fit, "Lambdat")))
}

# Covariance of (beta-hat, b-hat - b) at fixed theta and sigma: the inverse of the penalised
# information. Written for (beta, u) and mapped by b = Lambda u, so that a singular Lambda is fine.
joint_cov <- function(fit) {
  La <- as.matrix(getME(fit, "Lambda"))
  X <- getME(fit, "X")
  A <- cbind(X, as.matrix(getME(fit, "Z")) %*% La)
  p <- ncol(X)
  M <- crossprod(A) + diag(rep(c(0, 1), c(p, ncol(La))))
  T <- diag(p + ncol(La))
  T[-seq_len(p), -seq_len(p)] <- La
  C <- sigma(fit)^2 * T %*% solve(M, t(T))
  stopifnot(max(abs(C[seq_len(p), seq_len(p)] - as.matrix(vcov(fit)))) < 1e-8 * max(abs(C)))
  (C + t(C)) / 2
}

# `real` marks data of which no row may be stored. There, residuals are of other rows than the
# fitted values (their sum is the response), and the design is given by its cross-product.
accessors <- function(formula, data_name, source, real = FALSE, forms = list()) {
  fit <- polished(formula, data_name, TRUE)
  ml <- devfun_of(formula, data_name, FALSE)
  reml <- devfun_of(formula, data_name, TRUE)
  X <- getME(fit, "X")
  rows <- if (real) 11:20 else 1:10
  res <- function(type, scaled) vec(resid(fit, type = type, scaled = scaled)[rows])
  generic <- test_thetas(getME(fit, "lower"))
  thetas <- c(generic, list(3 * generic[[2]], round(getME(fit, "theta"), 3)))
  pred <- function(form) vec(head(predict(fit, re.form = form), 10))
  dc <- getME(fit, "devcomp")
  frame_ranef <- as.data.frame(ranef(fit, condVar = TRUE))
  wald <- function(level) {
    ci <- confint(fit, method = "Wald", level = level)
    list(level = level, rows = vec(rownames(ci)), columns = vec(colnames(ci)), values = dense(ci))
  }
  cat(sprintf("  %s: theta error %.1e\n", data_name, attr(fit, "optimum")$theta_error))
  c(list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
         data = list(name = data_name, source = source, rows = nrow(X))),
    scalars_of(fit),
    list(
      getME = c(list(theta = named(getME(fit, "theta")), lower = bounds(getME(fit, "lower")),
                     beta = vec(getME(fit, "beta")), fixef = named(getME(fit, "fixef")),
                     u = vec(as.numeric(getME(fit, "u"))), b = vec(as.numeric(getME(fit, "b"))),
                     Gp = vec(getME(fit, "Gp")), cnms = lapply(getME(fit, "cnms"), vec),
                     flist = flist_of(fit), n_rtrms = getME(fit, "n_rtrms"), n_rfacs = getME(fit, "n_rfacs"),
                     devcomp_dims = lapply(as.list(dc$dims), function(v) unbox(as.integer(v))),
                     X_columns = vec(colnames(X)), XtX = dense(crossprod(X)),
                     X_head = if (real) NULL else dense(head(X, 10))),
                factor_of(fit)),
      vcov_labels = vec(rownames(as.matrix(vcov(fit)))),
      vcov_correlation = dense(cov2cor(as.matrix(vcov(fit)))),
      joint_cov = joint_cov(fit),
      nobs = nobs(fit),
      extractAIC = vec(extractAIC(fit)),
      REMLcrit = REMLcrit(fit),
      deviance_ml_at_reml = deviance(fit, REML = FALSE),
      log_lik_reml = as.numeric(logLik(fit, REML = TRUE)),
      log_lik_ml_at_reml = as.numeric(logLik(fit, REML = FALSE)),
      fitted_head = vec(head(fitted(fit), 10)),
      residuals = list(rows_1based = vec(rows),
                       response = res("response", FALSE), pearson = res("pearson", FALSE),
                       response_scaled = res("response", TRUE), pearson_scaled = res("pearson", TRUE),
                       sumsq = sum(resid(fit)^2), scaled_quantiles = vec(quantile(resid(fit, scaled = TRUE)))),
      hatvalues = vec(hatvalues(fit)[rows]), hatvalues_sum = sum(hatvalues(fit)),
      cooks_distance = vec(cooks.distance(fit)[rows]), rstudent = vec(rstudent(fit)[rows]),
      predict = c(list("NULL" = pred(NULL), "NA" = pred(NA)), lapply(forms, pred)),
      confint_wald = list(wald(0.95), wald(0.99)),
      ranef = ranef_of(fit),
      ranef_frame = list(n_rows = nrow(frame_ranef), rows = records(head(frame_ranef, 40))),
      coef = lapply(coef(fit), labelled),
      summary_coefficients = labelled(coef(summary(fit))),
      summary_text = vec(capture.output(print(summary(fit)))),
      print_text = vec(capture.output(print(fit))),
      var_corr_text = vec(capture.output(print(VarCorr(fit)))),
      devfun = lapply(thetas, function(th) {
        a <- at_theta(reml, th)
        c(list(theta = a$theta, reml = a$value, ml = ml(th)), a[c("beta", "ldL2", "ldRX2", "pwrss")])
      })))
}

write_expected("accessors", models = list(
  students = accessors(extro ~ open + agree + social + (1 | school), "students", "lmm_data.csv", real = TRUE),
  sleepstudy = accessors(Reaction ~ Days + (Days | Subject), "sleepstudy", "lme4::sleepstudy",
                         forms = list("~(1|Subject)" = ~ (1 | Subject))),
  pastes = accessors(strength ~ 1 + (1 | batch / cask), "Pastes", "lme4::Pastes",
                     forms = list("~(1|batch)" = ~ (1 | batch), "~(1|cask:batch)" = ~ (1 | cask:batch)))
))
