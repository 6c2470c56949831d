# What packages performance and insight say of a fit, and lme4's rePCA.
source("../common.R")
suppressPackageStartupMessages(library(performance))

students <- read_lmm_data()
forms <- read.csv("../lmer/forms.csv", stringsAsFactors = TRUE)

quietly <- function(x) suppressMessages(suppressWarnings(x))
number <- function(x) if (length(x) == 0 || is.na(x[1])) NA else as.numeric(x[1])

variances_of <- function(fit) {
  v <- quietly(insight::get_variance(fit, tolerance = 0))
  list(fixed = number(v$var.fixed), random = number(v$var.random), residual = number(v$var.residual))
}

r2_of <- function(fit) {
  r2 <- quietly(r2_nakagawa(fit, tolerance = 0))
  icc <- quietly(icc(fit, tolerance = 0))
  if (!is.list(r2)) r2 <- list(R2_marginal = NA, R2_conditional = NA)
  if (!is.list(icc)) icc <- list(ICC_adjusted = NA, ICC_unadjusted = NA)
  by <- quietly(as.data.frame(icc(fit, by_group = TRUE, tolerance = 0)))
  list(marginal = number(r2$R2_marginal), conditional = number(r2$R2_conditional),
       adjusted = number(icc$ICC_adjusted), unadjusted = number(icc$ICC_unadjusted),
       by_group = list(group = vec(as.character(by$Group)), icc = vec(by$ICC)))
}

# Cook & Weisberg's score statistic and Koenker's, of standardised residuals on the fitted values.
breusch_pagan <- function(fit) {
  r2 <- (resid(fit, type = "pearson") / sigma(fit))^2 / (1 - hatvalues(fit)) 
  mod <- lm(I(r2 / mean(r2)) ~ fitted(fit))
  list(score = anova(mod)[1, "Sum Sq"] / 2, koenker = length(r2) * summary(mod)$r.squared,
       performance_p = number(quietly(check_heteroscedasticity(fit))))
}

collinearity_of <- function(fit) {
  v <- quietly(as.data.frame(check_collinearity(fit)))
  if (!nrow(v) || is.null(v$VIF)) return(NULL)
  list(term = vec(v$Term), vif = vec(v$VIF), se_factor = vec(v$SE_factor))
}

random_normality <- function(fit) {
  # It stops where all modes of an effect are zero.
  p <- tryCatch(quietly(check_normality(fit, effects = "random")), error = function(e) NULL)
  if (is.null(p)) return(NULL)
  list(effect = vec(attr(p, "re_groups")), p_value = vec(as.numeric(p)))
}

pca_of <- function(fit) lapply(unclass(rePCA(fit)), function(x) {
  list(sdev = vec(x$sdev), rotation = dense(x$rotation))
})

of <- function(fit, predictors) {
  mp <- quietly(as.data.frame(model_performance(fit)))
  list(theta = vec(getME(fit, "theta")), variances = variances_of(fit), r2 = r2_of(fit),
       performance = list(aic = AIC(fit), bic = BIC(fit), aic_insight = mp$AIC, aicc_insight = mp$AICc,
                          rmse = mp$RMSE, sigma = mp$Sigma),
       re_pca = pca_of(fit), heteroscedasticity = breusch_pagan(fit),
       # lme4's rstudent, which performance tests: residuals over sigma sqrt(1 - h)
       normality = list(residuals = number(quietly(check_normality(fit))),
                        random = random_normality(fit)),
       collinearity = if (predictors > 1) collinearity_of(fit),
       cook_threshold = number(attr(quietly(check_outliers(fit)), "threshold")$cook))
}

record <- function(formula, data_name, weights = NULL) {
  ml <- polished(formula, data_name, FALSE, weights = weights)
  reml <- polished(formula, data_name, TRUE, weights = weights)
  predictors <- length(attr(terms(formula(reml, fixed.only = TRUE)), "term.labels"))
  cat(" ", deparse(formula), "\n")
  list(formula = paste(deparse(formula, width.cutoff = 300), collapse = " "), data = data_name,
       REML = of(reml, predictors), ML = of(ml, predictors))
}

# compare_performance takes the ML likelihood at the REML estimates; the refits by ML are beside it.
compared <- function(formulas, data_name) {
  reml <- lapply(formulas, polished, data_name, TRUE)
  ml <- lapply(formulas, polished, data_name, FALSE)
  table <- function(fits) {
    names(fits) <- paste0("m", seq_along(fits))
    x <- quietly(as.data.frame(do.call(compare_performance, fits)))
    list(aic = vec(x$AIC), aic_weight = vec(x$AIC_wt), aicc = vec(x$AICc), bic = vec(x$BIC),
         bic_weight = vec(x$BIC_wt))
  }
  list(formulas = vec(vapply(formulas, function(f) paste(deparse(f), collapse = " "), "")),
       data = data_name, reml = table(reml), ml = table(ml),
       reml_aic = vec(vapply(reml, AIC, 0)))
}

write_expected("performance", packages = list(
  performance = as.character(packageVersion("performance")),
  insight = as.character(packageVersion("insight"))
), models = list(
  students = record(extro ~ open + agree + social + (1 | school), "students"),
  nested_students = record(extro ~ open + agree + social + (1 | school / class), "students"),
  intercept = record(Reaction ~ Days + (1 | Subject), "sleepstudy"),
  slopes = record(Reaction ~ Days + (Days | Subject), "sleepstudy"),
  double_bar = record(Reaction ~ Days + (Days || Subject), "sleepstudy"),
  nested = record(strength ~ 1 + (1 | batch / cask), "Pastes"),
  crossed = record(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin"),
  singular = record(Yield ~ 1 + (1 | Batch), "Dyestuff2"),
  categories = record(y_f ~ f + x + (f | g), "forms"),
  interaction = record(y ~ x + f * e + (1 | g), "forms"),
  weights = record(y ~ x + z + (1 | g) + (1 | h), "forms", forms$w),
  slope_and_crossed = record(y ~ x + z + (x | g) + (1 | h), "forms")
), no_pooling = list(
  lm_list = labelled(coef(lmList(Reaction ~ Days | Subject, sleepstudy))),
  lm = named(coef(lm(Reaction ~ Days, sleepstudy)))
), compared = list(
  fixed = compared(list(Reaction ~ Days + (Days | Subject), Reaction ~ 1 + (Days | Subject)), "sleepstudy"),
  random = compared(list(Reaction ~ Days + (Days | Subject), Reaction ~ Days + (Days || Subject),
                         Reaction ~ Days + (1 | Subject)), "sleepstudy")
))
