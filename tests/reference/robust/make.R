# Cluster-robust covariances, dense, from the papers' formulas on lme4's fits at their exact optimum:
# Bell & McCaffrey (2002), Pustejovsky & Tipton (2018). clubSandwich itself is not in Debian.
source("../common.R")

bundled <- function(name) read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
                                   stringsAsFactors = FALSE)
thin <- function(d) d[!(seq_len(nrow(d)) %% 7 == 3 | seq_len(nrow(d)) %% 11 == 5), ]

sleep <- bundled("sleepstudy")
sleep$Subject <- factor(sleep$Subject)
sleep$phase <- factor(c("a", "b", "c")[1 + (sleep$Days > 2) + (sleep$Days > 6)])
sleep$grp <- factor(c("x", "y", "z")[1 + as.integer(sleep$Subject) %% 3])
thinned <- thin(sleep)
pastes <- thin(bundled("pastes"))
pastes$cask <- factor(pastes$cask)
students <- thin(thin(bundled("students")))
students$class <- factor(students$class)

power_of <- function(S, p) {
  e <- eigen(S, symmetric = TRUE)
  keep <- e$values > 1e-10 * max(e$values)
  V <- e$vectors[, keep, drop = FALSE]
  V %*% (e$values[keep]^p * t(V))
}

robust <- function(fit, cluster, L) {
  X <- getME(fit, "X")
  Z <- as.matrix(getME(fit, "Z"))
  La <- as.matrix(getME(fit, "Lambda"))
  Phi <- sigma(fit)^2 * (diag(nrow(X)) + Z %*% La %*% t(La) %*% t(Z))
  W <- solve(Phi)
  M <- solve(t(X) %*% W %*% X)
  R <- diag(nrow(X)) - X %*% M %*% t(X) %*% W
  e <- as.vector(R %*% getME(fit, "y"))
  b <- fixef(fit)
  groups <- split(seq_len(nrow(X)), as.character(cluster))
  m <- length(groups)
  one <- function(type) {
    G <- lapply(groups, function(i) {
      P <- Phi[i, i, drop = FALSE]
      A <- diag(length(i))
      if (type == "CR2") {
        D <- chol(P)
        B <- D %*% R[i, ] %*% Phi %*% t(R[i, ]) %*% t(D)
        A <- t(D) %*% power_of((B + t(B)) / 2, -1/2) %*% D
      }
      M %*% t(X[i, , drop = FALSE]) %*% solve(P) %*% A
    })
    V <- Reduce(`+`, Map(function(g, i) tcrossprod(g %*% e[i]), G, groups))
    if (type == "CR1") V <- V * m / (m - 1)
    H <- Map(function(g, i) g %*% R[i, , drop = FALSE], G, groups) # p x n
    df <- vapply(seq_along(b), function(k) {
      P <- t(vapply(H, function(h) h[k, ], numeric(nrow(X))))
      S <- P %*% Phi %*% t(P)
      sum(diag(S))^2 / sum(S^2)
    }, 0)
    q <- nrow(L)
    S <- lapply(H, function(h) lapply(H, function(g) L %*% h %*% Phi %*% t(g) %*% t(L)))
    root <- power_of(Reduce(`+`, lapply(seq_len(m), function(i) S[[i]][[i]])), -1/2)
    spread <- sum(vapply(S, function(row) sum(vapply(row, function(s) {
      N <- root %*% s %*% root
      sum(N * t(N)) + sum(diag(N))^2
    }, 0)), 0))
    eta <- q * (q + 1) / spread
    Q <- as.numeric(t(L %*% b) %*% solve(L %*% V %*% t(L), L %*% b))
    list(vcov = dense(V), df = vec(df), F = (eta - q + 1) / (eta * q) * Q, den_df = eta - q + 1)
  }
  list(columns = vec(names(b)), L = dense(L), m = m,
       types = lapply(c(CR0 = "CR0", CR1 = "CR1", CR2 = "CR2"), one))
}

rows <- function(fit, ...) diag(length(fixef(fit)))[c(...), , drop = FALSE]
slopes <- polished(Reaction ~ Days + (Days | Subject), "thinned")
factors <- polished(Reaction ~ phase * grp + (1 | Subject), "thinned")
nested <- polished(strength ~ cask + (1 | batch / cask), "pastes")
schools <- polished(extro ~ agree + open * class + (1 | school), "students")

write_expected("robust", models = list(
  slopes = robust(slopes, thinned$Subject, rows(slopes, 1, 2)),
  factors = robust(factors, thinned$Subject, rows(factors, 2, 3)),
  nested = robust(nested, pastes$batch, rows(nested, 2, 3)),
  schools = robust(schools, students$school, rows(schools, 2, 3))))
