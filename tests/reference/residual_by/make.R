# Residual standard deviations by group: nlme's varIdent and glmmTMB's dispformula, by REML and ML.
# glmmTMB's optimum is driven to a zero gradient by Newton steps.
source("../common.R")
source("../glmmtmb.R")

read <- function(name) read.csv(file.path("..", "structures", paste0(name, ".csv")))
math <- as.data.frame(nlme::MathAchieve)
math$School <- as.character(math$School)
math <- math[math$School %in% sort(unique(math$School))[1:24], c("School", "Sex", "SES", "MathAch")]
write.csv(math, "mathachieve.csv", row.names = FALSE)
math <- read.csv("mathachieve.csv")
sleep <- lme4::sleepstudy
sleep$late <- as.integer(sleep$Days >= 5)
sleep$Subject <- as.character(sleep$Subject)
frames <- list(orthodont = read("orthodont"), dialyzer = read("dialyzer"), oats = read("oats"),
               ergostool = read("ergostool"), machines = read("machines"), math = math,
               sleepstudy = sleep, penicillin = lme4::Penicillin, students = read_lmm_data())
frames$dialyzer$QB <- as.character(frames$dialyzer$QB)
frames$students$school <- as.character(frames$students$school)
for (name in names(frames)) for (v in names(frames[[name]])) {
  column <- frames[[name]][[v]]
  if (is.factor(column) || is.character(column)) {
    frames[[name]][[v]] <- factor(as.character(column), levels = sort(unique(as.character(column))))
  }
}

by_nlme <- function(name, fixed, random, by, REML) {
  fit <- lme(fixed, frames[[name]], random, weights = varIdent(form = by),
    method = if (REML) "REML" else "ML",
    control = lmeControl(maxIter = 500, msMaxIter = 1000, niterEM = 100, tolerance = 1e-13,
                         msTol = 1e-14, opt = "nlminb", returnObject = TRUE))
  ratios <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  list(log_lik = as.numeric(logLik(fit)), sigma = named(fit$sigma * ratios),
       beta = vec(as.numeric(fixef(fit))))
}

# Fixed effects, their standard errors and the modes at given variances, by dense algebra: nlme stops
# where its criterion is flat, which is not near enough for these.
at_variances <- function(name, formula, covariances, sd_by_row) {
  data <- frames[[name]]
  re <- lme4::lFormula(formula, data)
  X <- re$X
  y <- model.response(re$fr)
  Z <- do.call(cbind, lapply(re$reTrms$Ztlist, function(z) t(as.matrix(z))))
  G <- as.matrix(Matrix::bdiag(lapply(names(re$reTrms$cnms), function(g)
    kronecker(diag(nlevels(re$reTrms$flist[[g]])), covariances[[g]]))))
  V <- Z %*% G %*% t(Z) + diag(sd_by_row^2)
  W <- chol2inv(chol(V))
  covariance <- solve(t(X) %*% W %*% X)
  beta <- covariance %*% t(X) %*% W %*% y
  modes <- if (length(re$reTrms$cnms) == 1) {
    k <- length(re$reTrms$cnms[[1]])
    list(levels = vec(levels(re$reTrms$flist[[1]])),
         values = matrix(G %*% t(Z) %*% W %*% (y - X %*% beta), ncol = k, byrow = TRUE))
  }
  list(names = vec(colnames(X)), beta = vec(as.numeric(beta)), se = vec(sqrt(diag(covariance))), modes = modes)
}

# `group` has the strata of the rows, a factor.
by_tmb <- function(name, formula, group, ours, REML) {
  data <- frames[[name]]
  data$group. <- group
  fit <- suppressWarnings(glmmTMB(formula, data, dispformula = ~ 0 + group., REML = REML,
                                  family = gaussian()))
  best <- polished_tmb(fit, steps = 10)
  invisible(fit$obj$fn(best$par))
  last <- fit$obj$env$last.par
  report <- fit$obj$report(last)
  sd <- exp(as.numeric(last[names(last) == "betad"]) / 2)
  covariances <- lapply(seq_along(report$sd), function(i) {
    s <- report$sd[[i]]
    if (length(s) == 1) matrix(s^2) else diag(s) %*% report$corr[[i]] %*% diag(s)
  })
  names(covariances) <- names(fit$modelInfo$reTrms$cond$cnms)
  c(list(data = name, formula = ours$formula, residual_by = vec(ours$by), reml = REML,
         log_lik = -best$value, gradient = best$gradient,
         sigma = list(names = vec(levels(group)), values = vec(sd))),
    at_variances(name, formula, covariances, sd[as.integer(group)]))
}

cases <- list()
add <- function(key, name, formula, ours, by, fixed = NULL, random = NULL, form = NULL, REML) {
  group <- interaction(frames[[name]][by], sep = ":", drop = TRUE)
  made <- by_tmb(name, formula, group, list(formula = ours, by = by), REML)
  if (!is.null(fixed)) made$nlme <- by_nlme(name, fixed, random, form, REML)
  cases[[paste(key, if (REML) "REML" else "ML", sep = "_")]] <<- made
  cat(sprintf("  %s: %.7f (gradient %.1e) nlme %.7f\n", key, made$log_lik, made$gradient,
              if (is.null(fixed)) NA else made$nlme$log_lik))
}
for (REML in c(TRUE, FALSE)) {
  add("students", "students", extro ~ open + agree + social + (1 | school),
    "extro ~ open + agree + social + (1 | school)", "school",
    extro ~ open + agree + social, ~ 1 | school, ~ 1 | school, REML = REML)
  add("orthodont", "orthodont", distance ~ age * Sex + (age | Subject),
    "distance ~ age * Sex + (age | Subject)", "Sex", distance ~ age * Sex, ~ age | Subject, ~ 1 | Sex, REML = REML)
  add("dialyzer", "dialyzer", rate ~ pressure * QB + (1 | Subject),
    "rate ~ pressure * C(QB) + (1 | Subject)", "QB", rate ~ pressure * QB, ~ 1 | Subject, ~ 1 | QB, REML = REML)
  add("ergostool", "ergostool", effort ~ Type + (1 | Subject),
    "effort ~ Type + (1 | Subject)", "Type", effort ~ Type, ~ 1 | Subject, ~ 1 | Type, REML = REML)
  add("oats", "oats", yield ~ nitro * Variety + (1 | Block / Variety),
    "yield ~ nitro * Variety + (1 | Block / Variety)", "Variety",
    yield ~ nitro * Variety, list(Block = ~ 1, Variety = ~ 1), ~ 1 | Variety, REML = REML)
  add("machines", "machines", score ~ Machine + (1 | Worker),
    "score ~ Machine + (1 | Worker)", "Machine", score ~ Machine, ~ 1 | Worker, ~ 1 | Machine, REML = REML)
  add("math_sex", "math", MathAch ~ SES + (SES | School), "MathAch ~ SES + (SES | School)", "Sex",
    MathAch ~ SES, ~ SES | School, ~ 1 | Sex, REML = REML)
  add("math_school", "math", MathAch ~ SES + (1 | School), "MathAch ~ SES + (1 | School)", "School",
    MathAch ~ SES, ~ 1 | School, ~ 1 | School, REML = REML)
  add("math_both", "math", MathAch ~ SES + (1 | School), "MathAch ~ SES + (1 | School)",
    c("School", "Sex"), MathAch ~ SES, ~ 1 | School, ~ 1 | School * Sex, REML = REML)
  add("sleepstudy", "sleepstudy", Reaction ~ Days + (Days | Subject), "Reaction ~ Days + (Days | Subject)",
    "late", Reaction ~ Days, ~ Days | Subject, ~ 1 | late, REML = REML)
  add("penicillin", "penicillin", diameter ~ 1 + (1 | plate) + (1 | sample),
    "diameter ~ 1 + (1 | plate) + (1 | sample)", "sample", REML = REML)
}
write_expected("residual_by", peers = lapply(c(nlme = "nlme", glmmTMB = "glmmTMB"),
  function(p) unbox(as.character(packageVersion(p)))), cases = cases)
