# lme4's formula in all its forms. forms.csv and trials.csv are made by data.R.
source("../common.R")

read <- function(path) read.csv(path, stringsAsFactors = TRUE)
forms <- read("forms.csv")
trials <- read("trials.csv")
trials$person_in_site <- factor(trials$person_in_site)
repeated <- forms[rep(seq_len(nrow(forms)), forms$k), ]
sums <- forms
contrasts(sums$f) <- contr.sum(3)
contrasts(sums$e) <- contr.sum(2)
dummies <- transform(forms, fb = as.numeric(f == "b"), fc = as.numeric(f == "c"))
deficient <- transform(forms, x2 = 2 * x - 1, same = z)

record <- function(formula, data_name, ours = NULL, weights = NULL, head_rows = 6) {
  out <- list(r_formula = paste(deparse(formula, width.cutoff = 300), collapse = " "),
              formula = ours, data = data_name)
  for (REML in c(TRUE, FALSE)) {
    fit <- suppressMessages(suppressWarnings(polished(formula, data_name, REML, weights = weights)))
    key <- if (REML) "REML" else "ML"
    own <- scalars_of(fit)
    own$devcomp_cmp <- NULL
    out[[key]] <- c(own, list(ranef = ranef_of(fit),
                              fitted_head = vec(head(fitted(fit), head_rows))))
    cat(sprintf("  %s %s: scaled gradient %.1e, theta error %.1e%s\n", out$r_formula, key,
                attr(fit, "optimum")$max_abs_scaled_gradient, attr(fit, "optimum")$theta_error,
                if (isSingular(fit)) ", singular" else ""))
  }
  out
}

# `formula` is what `lmer` gets where it is not R's.
write_expected("lmer", models = list(
  intercept = record(Yield ~ 1 + (1 | Batch), "Dyestuff"),
  slope = record(Reaction ~ Days + (Days | Subject), "sleepstudy"),
  slope_only = record(Reaction ~ Days + (0 + Days | Subject), "sleepstudy"),
  double_bar = record(Reaction ~ Days + (Days || Subject), "sleepstudy"),
  nested = record(strength ~ 1 + (1 | batch / cask), "Pastes"),
  nested_only = record(strength ~ 1 + (1 | batch:cask), "Pastes"),
  crossed = record(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin"),
  log_response = record(log(Reaction) ~ Days + (1 | Subject), "sleepstudy",
                        "np.log(Reaction) ~ Days + (1 | Subject)"),
  several_terms = record(y_z ~ x + z + (x | g) + (0 + z | g), "forms"),
  slope_and_crossed = record(y ~ x + z + (x | g) + (1 | h), "forms"),
  category = record(y_f ~ f + x + (f | g), "forms"),
  category_only = record(y_f ~ f + x + (0 + f | g), "forms"),
  category_double_bar = record(y_f ~ f + x + (1 | g) + (0 + fb | g) + (0 + fc | g), "dummies",
                               "y_f ~ f + x + (f || g)"),
  square = record(y_x ~ x + I(x^2) + (I(x^2) | g), "forms", "y_x ~ x + I(x**2) + (I(x**2) | g)"),
  logarithm = record(y_x ~ log(x) + (log(x) | g), "forms", "y_x ~ np.log(x) + (np.log(x) | g)"),
  offset = record(y_x ~ x + z + offset(off / 100) + (x | g) + (1 | h), "forms"),
  weights = record(y ~ x + z + (x | g) + (1 | h), "forms", weights = forms$w),
  frequencies = record(y_x ~ x + f + (x | g), "repeated"),
  interaction = record(y ~ x + f * e + (1 | g), "forms"),
  sums = record(y ~ x + f * e + (1 | g), "sums"),
  sums_slope = record(y_f ~ f + (f | g), "sums"),
  no_intercept = record(y_x ~ 0 + f + x + (x | g), "forms"),
  two_levels = record(y ~ x + (1 | pair) + (1 | g), "forms"),
  zeros = record(y_null ~ x + (1 | g) + (1 | h) + (0 + x | pair), "forms"),
  correlation_one = record(y_one ~ x + (x | g), "forms"),
  three_crossed = record(score ~ age + (1 | person) + (1 | item) + (1 | day), "trials"),
  nested_in_crossed = record(score ~ age + (1 | site / person_in_site) + (1 | item), "trials"),
  crossed_slopes = record(score ~ age + (1 | person) + (age | item), "trials"),
  deficient = record(y ~ x + x2 + f + z + same + (1 | g), "deficient")
))
