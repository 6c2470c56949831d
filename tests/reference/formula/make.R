# What R makes of formula code: powers, functions, '.', dependent columns, terms that others replace.
# Fits are at their exact optimum; the data are written out with the numbers.
source("../common.R")
suppressPackageStartupMessages({
  library(lmerTest)
  library(pbkrtest)
})

sleep <- read.csv(file.path("..", "..", "..", "merextras", "datasets", "sleepstudy.csv"))
sleep$Subject <- factor(sleep$Subject)
sleep$z <- round(10 * sin(seq_len(nrow(sleep)) * 1.7), 2)
cake <- as.data.frame(lme4::cake)[c("recipe", "replicate", "temp", "angle")]
cake$temperature <- factor(paste0("t", cake$temp))
cake$replicate <- factor(as.character(cake$replicate))
sleep$hours <- 24 * sleep$Days

table_of <- function(x) {
  x <- as.data.frame(x)
  list(rows = vec(rownames(x)), columns = vec(colnames(x)),
       values = lapply(seq_len(nrow(x)), function(i) lapply(as.list(unname(x[i, ])), unbox_na)))
}

new <- data.frame(Days = c(0.5, 4.25, 11), z = c(-3, 0, 12.5))
one <- function(formula, predict = TRUE) {
  fit <- polished(formula, "sleep", TRUE)
  out <- list(formula = unbox(paste(deparse(formula, width.cutoff = 400), collapse = " ")),
              beta = vec(fixef(fit)), criterion = unbox(as.numeric(-2 * logLik(fit))),
              sigma = unbox(sigma(fit)))
  if (predict) out$predicted <- vec(predict(fit, new, re.form = NA))
  out
}

formulas <- list(
  power = one(Reaction ~ Days + I(Days^2) + (1 | Subject)),
  crossing_power_of_one = one(Reaction ~ Days^2 + (1 | Subject)),
  crossing_power = one(Reaction ~ (Days + z)^2 + (1 | Subject)),
  power_in_bar = one(Reaction ~ Days + (I(Days^2 / 10) | Subject)),
  power_in_offset = one(Reaction ~ Days + offset(Days^2) + (1 | Subject), FALSE),
  power_of_the_response = one((Reaction / 100)^2 ~ Days + (1 | Subject)),
  negative_power = one(Reaction ~ I((Days + 1)^-1) + (1 | Subject)),
  high_power = one(Reaction ~ I((Days * 10000)^5 / 1e20) + (1 | Subject)),
  log = one(Reaction ~ log(Days + 1) + (1 | Subject)),
  log_to_a_base = one(Reaction ~ log(Days + 1, 2) + (1 | Subject)),
  exp_and_sqrt = one(Reaction ~ exp(-Days / 4) + sqrt(Days) + (1 | Subject)),
  log_of_the_response = one(log(Reaction) ~ Days + (Days | Subject)),
  factor = one(Reaction ~ factor(Days > 4) + z + (1 | Subject)),
  poly = one(Reaction ~ poly(Days, 2) + (1 | Subject)),
  poly_of_four = one(Reaction ~ poly(z, 4) + (1 | Subject)),
  raw_poly = one(Reaction ~ poly(Days, 2, raw = TRUE) + (1 | Subject)),
  scale = one(Reaction ~ scale(Days) + (1 | Subject)),
  scale_without_centre = one(Reaction ~ scale(Days, center = FALSE) + (1 | Subject)),
  centre_alone = one(Reaction ~ scale(Days, scale = FALSE) + (1 | Subject)),
  bar_alone = one(Reaction ~ 1 | Subject, FALSE),
  bar_of_a_slope_alone = one(Reaction ~ Days | Subject, FALSE)
)

tests_of <- function(formula, data_name) {
  fit <- suppressMessages(polished(formula, data_name, TRUE))
  lt <- lmerTest:::as_lmerModLT(fit, suppressMessages(devfun_of(formula, data_name, TRUE)))
  out <- list(formula = unbox(paste(deparse(formula, width.cutoff = 400), collapse = " ")),
              beta = named(fixef(fit)))
  for (type in 1:3) out[[paste0("type_", type)]] <- table_of(anova(lt, type = type))
  out$drop1_f <- table_of(drop1(lt))
  out$drop1_f_kenward_roger <- table_of(drop1(lt, ddf = "Kenward-Roger"))
  out$drop1_chisq <- table_of(suppressMessages(drop1(fit, test = "Chisq")))
  out
}

write_expected("formula",
  sleep_z = vec(sleep$z), new = new, cake = lapply(cake, function(x) vec(if (is.factor(x)) as.character(x) else x)),
  formulas = formulas,
  cake_tests = tests_of(angle ~ temp + temperature + recipe + (1 | recipe:replicate), "cake"),
  cake_other_order = tests_of(angle ~ temperature + temp + recipe + (1 | recipe:replicate), "cake"),
  hours = tests_of(Reaction ~ Days + hours + (Days | Subject), "sleep"))
