# Degrees of freedom and tests of fixed and random effects: lmerTest and pbkrtest on fits at their
# exact optimum. All data are the bundled ones, thinned by rules that are written out below.
source("../common.R")
suppressPackageStartupMessages({
  library(lmerTest)
  library(pbkrtest)
})

bundled <- function(name) read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
                                   stringsAsFactors = FALSE)
# Rows that a fixed rule of their 1-based number leaves out.
thin <- function(d) d[!(seq_len(nrow(d)) %% 7 == 3 | seq_len(nrow(d)) %% 11 == 5), ]

sleep <- bundled("sleepstudy")
sleep$Subject <- factor(sleep$Subject)
sleep$phase <- factor(c("a", "b", "c")[1 + (sleep$Days > 2) + (sleep$Days > 6)])
sleep$grp <- factor(c("x", "y", "z")[1 + as.integer(sleep$Subject) %% 3])
thinned <- thin(sleep)
holed <- subset(thinned, !(phase == "c" & grp == "z"))
pastes <- thin(bundled("pastes"))
pastes$cask <- factor(pastes$cask)
penicillin <- thin(bundled("penicillin"))
penicillin$half <- factor(ifelse(penicillin$plate < "m", "early", "late"))
students <- thin(thin(bundled("students")))
students$class <- factor(students$class)
dyestuff2 <- as.data.frame(lme4::Dyestuff2)
set.seed(7)
dyestuff2$x <- round(rnorm(30), 3)

# At full precision, row names kept.
table_of <- function(x) {
  x <- as.data.frame(x)
  list(rows = vec(rownames(x)), columns = vec(colnames(x)),
       values = lapply(seq_len(nrow(x)), function(i) lapply(as.list(unname(x[i, ])), unbox_na)))
}

# lmerTest's class around the polished fit, its Hessian by finite differences of the criterion there.
tested <- function(fit, formula, data_name, REML) {
  f <- devfun_of(formula, data_name, REML)
  lmerTest:::as_lmerModLT(fit, f)
}

one <- function(formula, data_name, REML, chisq) {
  fit <- polished(formula, data_name, REML)
  lt <- tested(fit, formula, data_name, REML)
  X <- getME(fit, "X")
  p <- ncol(X)
  out <- list(beta = named(fixef(fit)), sigma = sigma(fit), theta = vec(getME(fit, "theta")),
              satterthwaite = table_of(coef(summary(lt, ddf = "Satterthwaite"))))
  if (p > 1) {
    # A joint hypothesis that no factor's coding suggests.
    L <- rbind(seq_len(p), (-1)^seq_len(p))
    out$L <- dense(L)
    out$joint_satterthwaite <- table_of(contestMD(lt, L, ddf = "Satterthwaite"))
    out$joint_rhs <- table_of(contestMD(lt, L, rhs = c(1, 2)))
    out$plain <- table_of(anova(fit))
    for (type in 1:3) out[[paste0("satterthwaite_", type)]] <- table_of(anova(lt, type = type))
    out$drop1_f <- table_of(drop1(lt))
    if (chisq) out$drop1_chisq <- table_of(drop1(fit, test = "Chisq"))
  }
  if (REML) {
    out$vcov_adj <- dense(as.matrix(vcovAdj(fit)))
    out$kenward_roger <- table_of(coef(summary(lt, ddf = "Kenward-Roger")))
    if (p > 1) {
      out$joint_kenward_roger <- table_of(contestMD(lt, L, ddf = "Kenward-Roger"))
      for (type in 1:3) {
        out[[paste0("kenward_roger_", type)]] <- table_of(anova(lt, type = type, ddf = "Kenward-Roger"))
      }
      out$drop1_f_kenward_roger <- table_of(drop1(lt, ddf = "Kenward-Roger"))
    }
  }
  lt@call[[1]] <- quote(lmerTest::lmer)
  out$ranova <- table_of(ranova(lt))
  out$ranova_whole <- table_of(ranova(lt, reduce.terms = FALSE))
  o <- attr(fit, "optimum")
  cat(sprintf("  %s %s: theta error %.1e\n", deparse(formula, width.cutoff = 200), if (REML) "REML" else "ML",
              o$theta_error))
  out
}

both <- function(formula, data_name, chisq = TRUE) {
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "), rows = nrow(get(data_name)),
       REML = one(formula, data_name, TRUE, chisq), ML = one(formula, data_name, FALSE, chisq))
}

models <- list(
  balanced_slopes = both(Reaction ~ Days + (Days | Subject), "sleep"),
  unbalanced_slopes = both(Reaction ~ Days + (Days | Subject), "thinned"),
  uncorrelated = both(Reaction ~ Days * grp + (Days || Subject), "thinned"),
  two_factors = both(Reaction ~ phase * grp + (1 | Subject), "thinned"),
  # lme4's drop1 would have to fit the model with an empty cell again.
  missing_cell = both(Reaction ~ phase * grp + (1 | Subject), "holed", chisq = FALSE),
  covariate_by_factor = both(extro ~ agree + open * class + (1 | school), "students"),
  nested = both(strength ~ cask + (1 | batch / cask), "pastes"),
  crossed = both(diameter ~ half + (1 | plate) + (1 | sample), "penicillin"),
  singular = both(Yield ~ x + (1 | Batch), "dyestuff2")
)

# Sum contrasts change the coefficients but not the hypotheses of types 2 and 3.
options(contrasts = c("contr.sum", "contr.poly"))
models$two_factors$sum_type_3 <-
  table_of(anova(tested(polished(Reaction ~ phase * grp + (1 | Subject), "thinned", TRUE),
                        Reaction ~ phase * grp + (1 | Subject), "thinned", TRUE), type = 3))
options(contrasts = c("contr.treatment", "contr.poly"))

# Comparisons of several models, refitted by ML.
a <- polished(Reaction ~ 1 + (1 | Subject), "thinned")
b <- polished(Reaction ~ Days + (1 | Subject), "thinned")
d <- polished(Reaction ~ Days + (Days || Subject), "thinned")
e <- polished(Reaction ~ Days + (Days | Subject), "thinned")
ols <- lm(Reaction ~ 1, thinned)
comparisons <- list(
  refitted = table_of(suppressMessages(anova(a, b, d, e))),
  with_ols = table_of(suppressMessages(anova(b, a, ols))),
  by_reml = table_of(anova(b, d, e, refit = FALSE))
)

write_expected("ddf", lmerTest = unbox(as.character(packageVersion("lmerTest"))),
               pbkrtest = unbox(as.character(packageVersion("pbkrtest"))),
               dyestuff2 = list(Yield = vec(dyestuff2$Yield), Batch = vec(as.character(dyestuff2$Batch)),
                                x = vec(dyestuff2$x)),
               models = models, comparisons = comparisons)
