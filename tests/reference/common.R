# Shared by every make.R in this folder: fit with lme4, drive the fit to its exact
# optimum, take everything out of it, write it as JSON.
#
# A make.R starts with `source("../common.R")`: regenerate.py runs it from its own folder.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})
# Text blocks (summary, display) are part of the reference, so pin what shapes them.
options(width = 80, digits = 7, scipen = 0, useFancyQuotes = FALSE, stringsAsFactors = FALSE)
invisible(Sys.setlocale("LC_COLLATE", "C"))

# ---------------------------------------------------------------- data

shared_file <- function(name) {
  args <- commandArgs(trailingOnly = TRUE)
  folder <- if (length(args)) args[[1]] else Sys.getenv("MEREXTRAS_SHARED")
  if (!nzchar(folder)) folder <- file.path("..", "..", "..", "..", "shared", "data")
  path <- file.path(folder, name)
  if (!file.exists(path)) {
    stop("no file ", path, ": give the shared data folder as an argument or in MEREXTRAS_SHARED",
         call. = FALSE)
  }
  path
}

read_lmm_data <- function() {
  d <- read.csv(shared_file("lmm_data.csv"), stringsAsFactors = TRUE)
  d$isa <- as.numeric(d$class == "a") # the binary predictor of the `arm` topic
  d
}

# ---------------------------------------------------------------- JSON

# A vector stays an array even when it has one element; names are dropped on purpose.
vec <- function(x) I(as.vector(unname(x)))
named <- function(x) list(names = vec(names(x)), values = vec(as.numeric(x)))
# Infinity has no JSON spelling: it becomes the string "Inf", which Python's float() reads.
bounds <- function(x) lapply(unname(x), function(v) if (is.finite(v)) unbox(v) else unbox(as.character(v)))
dense <- function(m) {
  m <- as.matrix(m)
  dimnames(m) <- NULL
  m
}
labelled <- function(m) {
  m <- as.matrix(m)
  list(rows = vec(rownames(m)), columns = vec(colnames(m)), values = dense(m))
}
records <- function(df) {
  df <- as.data.frame(df)
  rownames(df) <- NULL
  df[] <- lapply(df, function(x) if (is.factor(x)) as.character(x) else x)
  lapply(seq_len(nrow(df)), function(i) lapply(as.list(df[i, , drop = FALSE]), unbox_na))
}
unbox_na <- function(x) if (is.na(x)) unbox(NA) else unbox(x)

versions <- function() {
  pk <- c("lme4", "Matrix", "arm", "RLRsim", "jsonlite")
  out <- c(list(R = as.character(getRversion())),
           setNames(lapply(pk, function(p) as.character(packageVersion(p))), pk))
  lapply(out, unbox)
}

# jsonlite puts one number on a line. Rows of numbers and of plain words go on one line, so that
# a change of the reference reads as a diff of rows.
compact <- function(txt) {
  number <- '(?:-?[0-9][0-9.eE+-]*|null|true|false)'
  word <- '"[^"\\s\\\\]*"'
  row <- sprintf('\\[\\s*\\n\\s*((?:(?:%s|%s),\\s*)*(?:%s|%s))\\s*\\]', number, word, number, word)
  lines <- gregexpr(row, txt, perl = TRUE)
  regmatches(txt, lines) <- lapply(regmatches(txt, lines), function(x) gsub('\\s+', ' ', x))
  txt <- gsub('\\[\\s+\\]', '[]', txt)
  gsub('\\[ ([^][{}\n]*) \\]', '[\\1]', txt)
}

write_expected <- function(topic, ..., path = "expected.json") {
  out <- c(list(topic = unbox(topic), versions = versions()), list(...))
  # digits = NA is jsonlite's full precision, 15 significant digits.
  txt <- toJSON(out, digits = NA, auto_unbox = TRUE, na = "null", null = "null", pretty = 1)
  if (grepl("NaN", txt)) stop("NaN in ", topic)
  writeLines(compact(txt), path)
  cat(sprintf("%s: %.0f kB\n", topic, file.size(path) / 1000))
}

# ---------------------------------------------------------------- the exact optimum

# One number per theta: the length of its row in the relative factor. It is the natural unit
# of that theta, so step sizes and gradients below do not depend on a covariate's units.
theta_scale <- function(theta, cnms) {
  out <- numeric(0)
  at <- 0
  for (cn in cnms) {
    k <- length(cn)
    m <- matrix(0, k, k)
    idx <- lower.tri(m, diag = TRUE)
    m[idx] <- theta[at + seq_len(sum(idx))]
    len <- sqrt(rowSums(m^2))
    len[len == 0] <- 0.1 # a term estimated as zero has no unit of its own
    out <- c(out, len[row(m)[idx]])
    at <- at + sum(idx)
  }
  out
}

# Fourth-order central differences. lme4's deviance function accepts negative theta
# (it is even under a change of sign of a factor's column), so no one-sided formula is needed.
gradient <- function(f, x, h) {
  vapply(seq_along(x), function(i) {
    at <- function(k) f(replace(x, i, x[i] + k * h[i]))
    (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h[i])
  }, numeric(1))
}
hessian <- function(f, x, h) {
  H <- vapply(seq_along(x), function(i) {
    at <- function(k) gradient(f, replace(x, i, x[i] + k * h[i]), h)
    (at(1) - at(-1)) / (2 * h[i])
  }, numeric(length(x)))
  H <- matrix(H, length(x))
  (H + t(H)) / 2
}

# Newton steps over the free coordinates; the others stay at 0.
newton <- function(f, x, free, cnms, steps) {
  g_at <- function(z, sub) f(replace(x, free, z))
  for (i in seq_len(steps)) {
    h <- 1e-3 * theta_scale(x, cnms)[free]
    g <- gradient(g_at, x[free], h)
    if (i == 1) {
      H <- hessian(g_at, x[free], 5 * h)
      if (min(eigen(H, only.values = TRUE)$values) <= 0) stop("Hessian is not positive definite")
    }
    x[free] <- x[free] - solve(H, g)
  }
  h <- 1e-3 * theta_scale(x, cnms)[free]
  g <- gradient(g_at, x[free], h)
  list(x = x, gradient = g, error = max(abs(solve(H, g)) / theta_scale(x, cnms)[free]))
}

find_optimum <- function(f, start, lower, cnms, steps) {
  s <- theta_scale(start, cnms)
  starts <- list(start)
  # A singular optimum is easily missed by one start.
  if (length(start) > 1) starts <- c(starts, list(ifelse(lower == 0, pmax(start, 0.05 * s), 0)))
  best <- NULL
  for (st in starts) {
    o <- nlminb(st / s, function(z) f(z * s), lower = lower / s,
                control = list(eval.max = 5000, iter.max = 2000, rel.tol = 1e-14, x.tol = 1e-12))
    if (is.null(best) || o$objective < best$objective) best <- o
  }
  x <- best$par * s
  # A diagonal element that is as good at exactly 0 belongs there: the optimum is on the boundary.
  on_edge <- lower == 0 & x < 1e-3 * max(abs(x), 1)
  zeroed <- replace(x, on_edge, 0)
  free <- rep(TRUE, length(x))
  if (any(on_edge) && f(zeroed) <= best$objective + 1e-7) {
    x <- zeroed
    free <- !on_edge
  }
  fit <- if (any(free)) newton(f, x, which(free), cnms, steps) else list(x = x, gradient = 0, error = 0)
  x <- fit$x
  # On the boundary the deviance must rise into the interior.
  curvature <- vapply(which(!free), function(i) {
    h <- 1e-2
    (f(replace(x, i, h)) - f(x)) / h^2
  }, numeric(1))
  if (any(curvature <= 0)) stop("a zero theta is not a minimum")
  list(theta = x, max_abs_gradient = max(abs(fit$gradient)),
       max_abs_scaled_gradient = max(abs(fit$gradient) * c(theta_scale(x, cnms)[free], 0)[seq_along(fit$gradient)]),
       theta_error = fit$error, boundary = which(!free), curvature_at_boundary = curvature)
}

# The fit at the exact optimum. `data_name` is the name in the global environment, so that
# the model's call reads (and can be evaluated) as a user would have written it.
polished <- function(formula, data_name, REML = TRUE, start = NULL, steps = 4, weights = NULL) {
  data <- get(data_name, envir = globalenv())
  environment(formula) <- globalenv()
  # By do.call, since lFormula looks for the weights' expression where it can't see ours.
  parsed <- do.call(lFormula, list(formula, data, REML = REML, weights = weights,
                                   control = lmerControl(check.conv.singular = "ignore")))
  f <- do.call(mkLmerDevfun, c(parsed, list(verbose = 0)))
  cnms <- parsed$reTrms$cnms
  lower <- parsed$reTrms$lower
  if (is.null(start)) start <- optimizeLmer(f, optimizer = "bobyqa")$par
  opt <- find_optimum(f, start, lower, cnms, steps)
  value <- f(opt$theta) # leaves the state behind `f` at the optimum: mkMerMod reads it
  mc <- as.call(c(list(quote(lmer), formula = formula, data = as.name(data_name)),
                  if (!REML) list(REML = FALSE)))
  mc$formula <- as.call(as.list(formula)) # a bare expression prints without its environment
  fit <- mkMerMod(environment(f), list(par = opt$theta, fval = value, feval = 0L, ierr = 0L, conv = 0L,
                                       message = "polished"),
                  parsed$reTrms, parsed$fr, mc)
  attr(fit, "optimum") <- opt
  fit
}

optimum_of <- function(fit) {
  o <- attr(fit, "optimum")
  list(max_abs_gradient = o$max_abs_gradient, max_abs_scaled_gradient = o$max_abs_scaled_gradient,
       theta_error = o$theta_error, boundary = vec(o$boundary - 1L),
       curvature_at_boundary = vec(o$curvature_at_boundary))
}

# ---------------------------------------------------------------- the criterion at given theta

devfun_of <- function(formula, data_name, REML) {
  environment(formula) <- globalenv()
  parsed <- lFormula(formula, get(data_name, envir = globalenv()), REML = REML)
  do.call(mkLmerDevfun, c(parsed, list(verbose = 0)))
}

at_theta <- function(f, theta) {
  value <- f(theta)
  rho <- environment(f)
  list(theta = vec(theta), value = value, beta = vec(rho$pp$beta(1)), ldL2 = rho$pp$ldL2(),
       ldRX2 = rho$pp$ldRX2(), pwrss = rho$resp$wrss() + rho$pp$sqrL(1))
}

# Points chosen by rule, not by the estimate: lme4's start, a generic one, and the generic one
# with its last diagonal at 0 (a singular factor). `unit` carries a covariate's scale.
test_thetas <- function(lower, unit = 1) {
  i <- seq_along(lower)
  start <- as.numeric(lower == 0)
  generic <- ifelse(lower == 0, 0.3 + 0.2 * i, -0.15 * i)
  edge <- replace(generic, max(which(lower == 0)), 0)
  lapply(list(start, generic, edge), function(x) x * unit)
}

# ---------------------------------------------------------------- extraction

# Blocks of sigma^2 Lambda (Lambda'Z'WZ Lambda + I)^-1 Lambda', one array (level, k, k) per term.
cond_var <- function(fit) {
  La <- getME(fit, "Lambda")
  ZL <- sqrt(weights(fit)) * getME(fit, "Z") %*% La
  M <- as.matrix(crossprod(ZL)) + diag(ncol(ZL))
  C <- sigma(fit)^2 * as.matrix(La %*% solve(M, as.matrix(t(La))))
  Gp <- getME(fit, "Gp")
  cnms <- getME(fit, "cnms")
  lapply(seq_along(cnms), function(i) {
    k <- length(cnms[[i]])
    J <- (Gp[i + 1] - Gp[i]) / k
    out <- array(0, c(J, k, k))
    for (j in seq_len(J)) {
      r <- Gp[i] + (j - 1) * k + seq_len(k)
      out[j, , ] <- C[r, r]
    }
    out
  })
}

ranef_of <- function(fit) {
  re <- ranef(fit, condVar = TRUE)
  cnms <- getME(fit, "cnms")
  ours <- cond_var(fit)
  out <- list()
  for (g in names(re)) {
    terms <- which(names(cnms) == g)
    theirs <- attr(re[[g]], "postVar")
    if (!is.list(theirs)) theirs <- list(theirs)
    for (t in seq_along(terms)) { # lme4's condVar must be the dense formula
      gap <- max(abs(aperm(theirs[[t]], c(3, 1, 2)) - ours[[terms[t]]]))
      if (gap > 1e-8 * max(abs(theirs[[t]]), 1e-300)) stop("condVar of ", g, " differs by ", gap)
    }
    out[[g]] <- list(levels = vec(rownames(re[[g]])), columns = vec(colnames(re[[g]])),
                     values = dense(re[[g]]),
                     cond_var = lapply(terms, function(i) list(columns = vec(cnms[[i]]), array = ours[[i]])))
  }
  out
}

cmp_of <- function(fit) {
  cmp <- getME(fit, "devcomp")$cmp
  lapply(as.list(cmp), unbox_na)
}

flist_of <- function(fit) {
  fl <- getME(fit, "flist")
  lapply(fl, function(x) list(n_levels = nlevels(x), first_levels = vec(head(levels(x), 6)),
                              min_size = min(table(x)), max_size = max(table(x))))
}

scalars_of <- function(fit) {
  list(REML = isREML(fit), n = nobs(fit), p = length(fixef(fit)), q = getME(fit, "q"),
       n_theta = length(getME(fit, "theta")), npar = attr(logLik(fit), "df"),
       theta = named(getME(fit, "theta")), lower = bounds(getME(fit, "lower")),
       terms = lapply(seq_along(getME(fit, "cnms")), function(i) list(
         factor = names(getME(fit, "cnms"))[i], columns = vec(getME(fit, "cnms")[[i]]))),
       ngrps = as.list(ngrps(fit)),
       beta = named(fixef(fit)), vcov = dense(vcov(fit)), sigma = sigma(fit),
       var_corr = records(VarCorr(fit)),
       log_lik = as.numeric(logLik(fit)),
       criterion = if (isREML(fit)) REMLcrit(fit) else deviance(fit),
       aic = AIC(fit), bic = BIC(fit), df_residual = df.residual(fit),
       is_singular = isSingular(fit), devcomp_cmp = cmp_of(fit), optimum = optimum_of(fit))
}

everything <- function(fit, f, unit = 1) {
  lower <- getME(fit, "lower")
  c(scalars_of(fit), list(
    ranef = ranef_of(fit),
    fitted_head = vec(head(fitted(fit), 10)),
    fitted_sumsq = sum(fitted(fit)^2), resid_sumsq = sum(resid(fit)^2),
    devfun = lapply(test_thetas(lower, unit), function(th) at_theta(f, th))))
}

# One entry of `models`: both criteria of one formula on one data set.
model <- function(formula, data_name, source, dropped_rows = integer(0), start = NULL, unit = 1, note = NULL) {
  out <- list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
              data = c(list(name = data_name, source = source, rows = nrow(get(data_name, globalenv())),
                            dropped_rows_1based = vec(dropped_rows)), if (!is.null(note)) list(note = note)))
  for (REML in c(TRUE, FALSE)) {
    key <- if (REML) "REML" else "ML"
    st <- if (is.list(start)) start[[key]] else start
    fit <- polished(formula, data_name, REML, start = st)
    out[[key]] <- everything(fit, devfun_of(formula, data_name, REML), unit)
    cat(sprintf("  %s %s: scaled gradient %.1e, theta error %.1e\n", out$formula, key,
                attr(fit, "optimum")$max_abs_scaled_gradient, attr(fit, "optimum")$theta_error))
  }
  out
}
