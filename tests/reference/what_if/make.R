# Changes of predictions and their probabilities, means over cases, and variances over levels, from
# the dense inverse of the penalised information. New rows of X and Z are lme4's own.
source("../common.R")

# Covariance over sigma^2 of (beta-hat - beta, b-hat - b), b in the order of Z's columns.
joint_cov <- function(fit) {
  La <- as.matrix(getME(fit, "Lambda"))
  A <- cbind(getME(fit, "X"), as.matrix(getME(fit, "Z")) %*% La)
  p <- ncol(getME(fit, "X"))
  M <- crossprod(A) + diag(rep(c(0, 1), c(p, ncol(La))))
  T <- diag(p + ncol(La))
  T[-seq_len(p), -seq_len(p)] <- La
  T %*% solve(M, t(T))
}

# Rows (x, z) of new data whose levels all occur in the data.
rows_of <- function(formula, data, new) {
  both <- lFormula(formula, rbind(data, new[names(data)]),
                   control = lmerControl(check.conv.singular = "ignore"))
  at <- nrow(data) + seq_len(nrow(new))
  cbind(both$X[at, , drop = FALSE], t(as.matrix(both$reTrms$Zt))[at, , drop = FALSE])
}

# `cases` are rows of the data; `targets` has a row of new values for each target.
what_if <- function(formula, data_name, rows, targets) {
  data <- get(data_name, globalenv())
  data <- data[all.vars(formula)]
  fit <- polished(formula, data_name, TRUE)
  cases <- data[rows, ]
  C <- joint_cov(fit)
  centre <- c(fixef(fit), getME(fit, "b")@x)
  s <- sigma(fit)
  df <- nobs(fit) - length(fixef(fit))
  m <- nrow(cases)
  L <- nrow(targets)
  each <- rep(seq_len(m), each = L)
  moved <- cases[each, ]
  for (name in names(targets)) {
    moved[[name]] <- targets[[name]][rep(seq_len(L), m)]
    if (is.factor(data[[name]])) moved[[name]] <- factor(moved[[name]], levels(data[[name]]))
  }
  A <- rows_of(formula, data, moved)
  A0 <- rows_of(formula, data, cases)
  stopifnot(max(abs(A %*% centre - predict(fit, moved))) < 1e-8 * max(abs(fitted(fit))))
  D <- A - A0[each, ]
  se <- function(R) s * sqrt(pmax(rowSums((R %*% C) * R), 0))
  shift <- drop(D %*% centre)
  mean_of <- function(R) apply(R, 2, function(x) tapply(x, rep(seq_len(L), m), mean))
  B <- mean_of(A)
  E <- mean_of(D)
  # Levels count equally: expectation of a quadratic form over the posterior.
  form <- function(R) {
    q <- crossprod(R) / nrow(R)
    drop(centre %*% q %*% centre) + s^2 * df / (df - 2) * sum(q * C)
  }
  by_case <- apply(A, 2, function(x) ave(x, each))
  by_level <- apply(A, 2, function(x) ave(x, rep(seq_len(L), m)))
  half <- qt(0.975, df) * se(A)
  fit_values <- drop(A %*% centre)
  list(formula = paste(deparse(formula), collapse = " "), data = data_name,
       rows_1based = vec(rows), targets = lapply(targets, function(x) vec(as.character(x))),
       theta = vec(getME(fit, "theta")), df = df,
       fit = vec(fit_values), lower = vec(fit_values - half), upper = vec(fit_values + half),
       shift = vec(shift), shift_std_error = vec(se(D)),
       p_better = vec(pt(shift / se(D), df)),
       average = list(fit = vec(B %*% centre), std_error = vec(se(B)),
                      shift = vec(E %*% centre), shift_std_error = vec(se(E))),
       spread = list(levels = form(A - by_case), cases = form(A - by_level)))
}

write_expected("what_if", models = list(
  sleepstudy = what_if(Reaction ~ Days + (Days | Subject), "sleepstudy", c(3, 47, 111),
                       expand.grid(Days = c(1, 5.5), Subject = c("309", "337"), stringsAsFactors = FALSE)),
  pastes = what_if(strength ~ 1 + (1 | batch / cask), "Pastes", c(1, 17, 40),
                   expand.grid(cask = c("a", "c"), batch = c("B", "H"), stringsAsFactors = FALSE)),
  penicillin = what_if(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin", c(2, 55, 100),
                       expand.grid(sample = c("A", "F"), plate = c("c", "m"), stringsAsFactors = FALSE))
))
