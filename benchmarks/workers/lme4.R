# lme4's `lmer` and `glmer`, and what is asked of their fits.
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "protocol.R"))

# Tasks: each gives what is timed and how its value is read.
fit_model <- function(model, data, lmer = lme4::lmer) {
  if (model$family == "gaussian") lmer(model$formula, data)
  else if (model$family == "negative_binomial") glmer.nb(model$formula, data)
  else glmer(model$formula, data, family_of(model))
}

fit_task <- function(model, data) {
  list(
    call = function() fit_model(model, data),
    read = function(fit) list(
      criterion = if (isREML(fit)) REMLcrit(fit) else -2 * as.numeric(logLik(fit)),
      converged = length(grep("boundary", unlist(fit@optinfo$conv$lme4$messages),
                              value = TRUE, invert = TRUE)) == 0,
      singular = isSingular(fit)
    )
  )
}

# A task on a fit that is made beforehand. `needs` is a further package.
after <- function(call, value, needs = NULL) {
  structure(function(model, data) {
    lmer <- if (identical(needs, "lmerTest")) lmerTest::lmer else lme4::lmer
    fit <- fit_model(model, data, lmer)
    # R finds the data, the formula and the family of a refit where the fit was called.
    fit@call$formula <- model$formula
    fit@call$data <- data
    if (isGLMM(fit)) fit@call$family <- family_of(model)
    list(call = function() call(fit), read = function(x) list(criterion = value(x)))
  }, needs = needs)
}
tasks <- list(
  fit = fit_task,
  profile = after(function(m) confint(profile(m)), function(x) sum(x)),
  bootstrap = after(
    function(m) bootMer(m, function(x) c(sigma(x), getME(x, "theta"), fixef(x)), nsim = 1000, seed = 1),
    function(x) sd(x$t[, ncol(x$t)])
  ),
  profile_fixed = after(function(m) confint(m, parm = "beta_", method = "profile"), function(x) sum(x)),
  simulate = after(function(m) simulate(m, nsim = 100, seed = 1), function(x) sd(unlist(x))),
  simulate_modes = after(
    function(m) simulate(m, nsim = 100, seed = 1, use.u = TRUE), function(x) sd(unlist(x))
  ),
  predict = after(function(m) predict(m, newdata = getData(m)), function(x) mean(x^2)),
  predict_interval_few = after(
    function(m) {
      merTools::predictInterval(m, head(getData(m), 10000), level = 0.8, n.sims = 1000, seed = 1)
    },
    function(x) mean(x$upr - x$lwr), "merTools"
  ),
  power = after(
    function(m) {
      last <- as.numeric(seq_along(fixef(m)) == length(fixef(m)))
      m <- as(m, "lmerMod")
      vapply(simulate(m, 100, seed = 1), function(y) {
        fit <- lmerTest::as_lmerModLmerTest(refit(m, y))
        lmerTest::contest1D(fit, last, ddf = "Kenward-Roger")[["Pr(>|t|)"]]
      }, 0)
    },
    function(x) mean(x), "lmerTest"
  ),
  power_lrt = after(
    function(m) {
      last <- names(fixef(m))[length(fixef(m))]
      full <- refitML(m)
      reduced <- update(full, as.formula(paste(". ~ . -", last)))
      vapply(simulate(m, 50, seed = 1), function(y) {
        anova(refit(full, y), refit(reduced, y))[["Pr(>Chisq)"]][2]
      }, 0)
    },
    function(x) mean(x)
  ),
  kr = after(function(m) anova(m, type = 1, ddf = "Kenward-Roger"), function(x) sum(x$DenDF), "lmerTest"),
  predict_interval = after(
    function(m) merTools::predictInterval(m, level = 0.8, n.sims = 1000, seed = 1),
    function(x) mean(x$upr - x$lwr), "merTools"
  ),
  re_sim = after(
    function(m) merTools::REsim(m, n.sims = 1000, seed = 1), function(x) mean(x$sd), "merTools"
  ),
  influence = after(
    function(m) {
      group <- names(getME(m, "flist"))[1]
      list(influence(m, groups = group)[[sprintf("fixed.effects[-%s]", group)]], fixef(m))
    },
    function(x) max(abs(sweep(x[[1]], 2, x[[2]])))
  )
)

serve("lme4", tasks, abilities = "families")
