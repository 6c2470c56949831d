# Hypotheses about fixed effects: pbkrtest's tests of two models, nlme's marginal tests, lmerTest's
# least-squares means. All data are the bundled ones, thinned by the rules of the ddf topic.
source("../common.R")
suppressPackageStartupMessages({
  library(lmerTest)
  library(pbkrtest)
})

bundled <- function(name) read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
                                   stringsAsFactors = FALSE)
thin <- function(d) d[!(seq_len(nrow(d)) %% 7 == 3 | seq_len(nrow(d)) %% 11 == 5), ]

sleep <- bundled("sleepstudy")
sleep$Subject <- factor(sleep$Subject)
sleep$phase <- factor(c("a", "b", "c")[1 + (sleep$Days > 2) + (sleep$Days > 6)])
sleep$grp <- factor(c("x", "y", "z")[1 + as.integer(sleep$Subject) %% 3])
thinned <- thin(sleep)
thinned$two <- as.numeric(seq_len(nrow(thinned)) %% 5 == 0)
pastes <- thin(bundled("pastes"))
pastes$cask <- factor(pastes$cask)
students <- thin(thin(bundled("students")))
students$class <- factor(students$class)

tested <- function(x) lapply(Filter(is.numeric, as.list(as.data.frame(x))), vec)

compared <- function(large, small, data_name) {
  big <- polished(large, data_name)
  little <- polished(small, data_name)
  kr <- KRmodcomp(big, little)
  X <- getME(big, "X")
  L <- pbkrtest:::make_restriction_matrix(X, getME(little, "X"))
  lt <- lmerTest:::as_lmerModLT(big, devfun_of(large, data_name, TRUE))
  sat <- contestMD(lt, L)
  list(kr = tested(kr$test), L = dense(L), columns = vec(colnames(X)), satterthwaite = tested(sat))
}

# Each term's own coefficients, nlme's anova(type = "marginal"): F from the polished fit.
marginal <- function(formula, data_name) {
  fit <- polished(formula, data_name)
  at <- attr(getME(fit, "X"), "assign")
  V <- as.matrix(vcov(fit))
  b <- fixef(fit)
  f <- vapply(unique(at), function(k) sum(b[at == k] * solve(V[at == k, at == k], b[at == k])) / sum(at == k), 0)
  list(term = vec(c("Intercept", attr(terms(fit), "term.labels"))), F = vec(f), df1 = vec(as.integer(table(at))))
}

# nlme itself, which stops a little before the optimum.
by_nlme <- function(fixed, random, data) {
  fit <- nlme::lme(fixed, data, random, control = nlme::lmeControl(msTol = 1e-10, tolerance = 1e-10))
  a <- anova(fit, type = "marginal")
  list(F = vec(a[["F-value"]]), df1 = vec(a$numDF))
}

means <- function(formula, data_name) {
  lt <- lmerTest:::as_lmerModLT(polished(formula, data_name), devfun_of(formula, data_name, TRUE))
  table_of <- function(x) c(list(row = vec(rownames(x))), tested(as.data.frame(x)))
  list(means = table_of(ls_means(lt)), differences = table_of(ls_means(lt, pairwise = TRUE)),
       kenward_roger = table_of(ls_means(lt, ddf = "Kenward-Roger")))
}

write_expected("hypotheses",
  packages = lapply(list(lmerTest = "lmerTest", pbkrtest = "pbkrtest", nlme = "nlme"),
                    function(p) unbox(as.character(packageVersion(p)))),
  modcomp = list(
    interaction = compared(Reaction ~ phase * grp + (1 | Subject), Reaction ~ phase + grp + (1 | Subject), "thinned"),
    slopes = compared(Reaction ~ Days * grp + (Days || Subject), Reaction ~ Days + (Days || Subject), "thinned"),
    nested = compared(strength ~ cask + (1 | batch / cask), strength ~ 1 + (1 | batch / cask), "pastes"),
    one = compared(extro ~ agree + open + class + (1 | school), extro ~ open + class + (1 | school), "students"),
    coding = compared(Reaction ~ poly(Days, 3) + (1 | Subject), Reaction ~ Days + (1 | Subject), "thinned")),
  marginal = list(
    interaction = marginal(Reaction ~ phase * grp + (1 | Subject), "thinned"),
    slopes = marginal(Reaction ~ Days * grp + (Days || Subject), "thinned"),
    two = marginal(Reaction ~ phase * grp + two + (1 | Subject), "thinned")),
  nlme = list(interaction = by_nlme(Reaction ~ phase * grp, ~ 1 | Subject, thinned)),
  ls_means = list(
    interaction = means(Reaction ~ phase * grp + two + (1 | Subject), "thinned"),
    covariates = means(extro ~ agree + open * class + (1 | school), "students"),
    nested = means(strength ~ cask + (1 | batch / cask), "pastes")))
