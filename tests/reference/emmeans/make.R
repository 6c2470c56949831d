# Estimated marginal means, contrasts, trends and joint tests: emmeans on fits at their exact optimum.
# All data are the bundled ones, thinned by the rules of the ddf topic.
source("../common.R")
suppressPackageStartupMessages({
  library(emmeans)
  library(lmerTest)
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
thinned$off <- seq_len(nrow(thinned)) / 10
holed <- subset(thinned, !(phase == "c" & grp == "z"))
# A factor nested in grp, some levels more in one than in another.
thinned$sub <- factor(paste0(thinned$grp, c(1, 2, 1, 1, 2, 2, 1, 3, 1, 2, 1, 2, 2, 3, 1, 1, 1, 2)[as.integer(thinned$Subject)]))
pastes <- thin(bundled("pastes"))
pastes$cask <- factor(pastes$cask)
penicillin <- thin(bundled("penicillin"))
penicillin$half <- factor(ifelse(penicillin$plate < "m", "early", "late"))
students <- thin(thin(bundled("students")))
students$class <- factor(students$class)
dyestuff2 <- as.data.frame(lme4::Dyestuff2)
dyestuff2$kind <- factor(c("p", "q", "r")[1 + seq_len(30) %% 3])

polish <- function(formula, data_name, REML = TRUE) {
  fit <- polished(formula, data_name, REML)
  o <- attr(fit, "optimum")
  cat(sprintf("  %s: theta error %.1e\n", deparse(formula, width.cutoff = 200), o$theta_error))
  fit
}

# A summary as columns of full precision; numbers that do not exist are null.
columns_of <- function(x, ...) {
  d <- as.data.frame(summary(x, ...))
  names(d) <- sub("^(asymp\\.LCL|lower\\.CL)$", "low", sub("^(asymp\\.UCL|upper\\.CL)$", "high", names(d)))
  lapply(as.list(d), function(v) if (is.numeric(v)) bounds_of(v) else vec(as.character(v)))
}
bounds_of <- function(v) lapply(v, function(x) if (is.na(x)) unbox(NA) else if (is.finite(x)) unbox(x) else unbox("Inf"))

grid <- function(fit, specs, by = NULL, ...) emmeans(fit, specs, by = by, ...)

# All ways to compare the means.
compared <- function(means, family = TRUE) {
  infer <- function(x, adjust) columns_of(contrast(x, "pairwise", adjust = adjust), infer = TRUE)
  out <- list(means = columns_of(means))
  for (adjust in c("tukey", "holm", "bonferroni", "sidak", "fdr", "none")) {
    out[[adjust]] <- infer(means, adjust)
  }
  control <- contrast(means, "trt.vs.ctrl", adjust = "none")
  out$control <- columns_of(control, infer = TRUE)
  out$dunnettx <- columns_of(contrast(means, "trt.vs.ctrl"), infer = TRUE)
  out$eff <- columns_of(contrast(means, "eff"), infer = TRUE)
  out$consec <- columns_of(contrast(means, "consec", adjust = "none"), infer = TRUE)
  out
}

# Further sets of contrasts and kinds of tests; `delta` is a difference that does not matter.
more <- function(means, delta) {
  tested <- function(x, ...) columns_of(x, infer = TRUE, ...)
  out <- list()
  for (set in c("poly", "revpairwise", "trt.vs.ctrlk", "consec", "eff", "del.eff", "mean_chg")) {
    adjust <- if (set == "revpairwise") "tukey" else if (set %in% c("eff", "del.eff")) "fdr" else "none"
    out[[set]] <- tested(contrast(means, set, adjust = adjust))
  }
  out$scheffe <- tested(contrast(means, "pairwise", adjust = "scheffe"))
  for (side in c("equivalence", "noninferiority", "nonsuperiority")) {
    out[[side]] <- tested(contrast(means, "revpairwise"), side = side, delta = delta, adjust = "sidak")
  }
  out$above <- tested(means, side = ">", null = delta, adjust = "holm")
  out
}

# Interaction contrasts of two factors, and p-values adjusted across families.
interactions <- function(fit, a, b) {
  both <- emmeans(fit, c(a, b))
  within <- emmeans(fit, a, by = b)
  crossed <- lapply(c(holm = "holm", bonferroni = "bonferroni", sidak = "sidak", fdr = "fdr"), function(how) {
    columns_of(contrast(within, "revpairwise", adjust = "none"), infer = TRUE, cross.adjust = how)
  })
  list(consec = columns_of(contrast(both, interaction = "consec"), infer = TRUE),
       mixed = columns_of(contrast(both, interaction = c("poly", "revpairwise")), infer = TRUE),
       one = columns_of(contrast(both, interaction = "eff", by = b), infer = TRUE),
       cross = crossed)
}

nested_joint <- function(fit) {
  j <- as.data.frame(joint_tests(fit, lmer.df = "asymptotic"))
  list(term = vec(as.character(j[["model term"]])), df1 = vec(j$df1), F = bounds_of(j$F.ratio), p = bounds_of(j$p.value))
}

# lmerTest's test of emmeans' own hypotheses, term by term.
joint <- function(fit, formula, data_name, terms, lmer.df) {
  lt <- lmerTest:::as_lmerModLT(fit, devfun_of(formula, data_name, TRUE))
  j <- as.data.frame(joint_tests(fit, lmer.df = lmer.df))
  theirs <- list(term = vec(as.character(j[["model term"]])), df1 = vec(j$df1), df2 = bounds_of(j$df2),
                 F = vec(j$F.ratio), p = vec(j$p.value))
  if (lmer.df == "asymptotic") return(list(emmeans = theirs))
  exact <- lapply(terms, function(term) {
    means <- emmeans(fit, term, lmer.df = "asymptotic")
    L <- contrast(means, interaction = "consec")@linfct
    as.list(as.data.frame(contestMD(lt, L, ddf = c(`kenward-roger` = "Kenward-Roger",
                                                   satterthwaite = "Satterthwaite")[lmer.df])))
  })
  list(emmeans = theirs, contest = setNames(exact, vapply(terms, paste, "", collapse = ":")))
}

joints <- function(fit, formula, data_name, terms) {
  out <- list()
  for (ddf in c("kenward-roger", "satterthwaite", "asymptotic")) {
    out[[ddf]] <- joint(fit, formula, data_name, terms, ddf)
  }
  out
}

models <- list()
extra <- list()

f <- Reaction ~ phase * grp + (1 | Subject)
fit <- polish(f, "thinned")
models$intercept <- list(
  phase = compared(grid(fit, "phase")),
  by = compared(grid(fit, "phase", by = "grp")),
  both = compared(grid(fit, c("phase", "grp"))),
  proportional = list(means = columns_of(grid(fit, "phase", weights = "proportional"))),
  overall = list(means = columns_of(emmeans(fit, ~1))),
  satterthwaite = compared(grid(fit, "phase", lmer.df = "satterthwaite")),
  asymptotic = compared(grid(fit, "phase", lmer.df = "asymptotic")),
  joint = joints(fit, f, "thinned", list("phase", "grp", c("phase", "grp"))),
  joint_by = {
    j <- as.data.frame(joint_tests(fit, by = "grp", lmer.df = "asymptotic"))
    list(grp = vec(as.character(j$grp)), df1 = vec(j$df1), F = vec(j$F.ratio), p = vec(j$p.value))
  }
)
extra$intercept <- list(phase = more(grid(fit, "phase"), 10), by = more(grid(fit, "phase", by = "grp"), 10),
                        interactions = interactions(fit, "phase", "grp"))
ml <- polish(f, "thinned", REML = FALSE)
models$ml <- list(satterthwaite = compared(grid(ml, "phase", lmer.df = "satterthwaite")),
                  kenward_roger = list(means = columns_of(grid(ml, "phase"))))

f <- Reaction ~ Days * grp + (Days || Subject)
fit <- polish(f, "thinned")
models$slopes <- list(
  grp = compared(grid(fit, "grp")),
  at = list(means = columns_of(emmeans(fit, c("grp", "Days"), at = list(Days = c(0, 9))))),
  trends = compared(emtrends(fit, "grp", var = "Days")),
  joint = joints(fit, f, "thinned", list("grp"))
)
extra$slopes <- list(grp = more(grid(fit, "grp"), 10), trends = more(emtrends(fit, "grp", var = "Days"), 2))
fit <- polish(Reaction ~ poly(Days, 2) * grp + two + (1 | Subject), "thinned")
models$curved <- list(
  grp = list(means = columns_of(grid(fit, "grp"))),
  two = list(means = columns_of(grid(fit, "two"))),
  trends = list(means = columns_of(emtrends(fit, c("Days", "grp"), var = "Days", at = list(Days = c(1, 8)))))
)
extra$curved <- list(grp = more(grid(fit, "grp"), 10),
                     degrees = columns_of(emtrends(fit, "grp", var = "Days", max.degree = 2)))
fit <- polish(Reaction ~ log(Days + 1) + grp + offset(off) + (1 | Subject), "thinned")
models$offset <- list(grp = list(means = columns_of(grid(fit, "grp")))) # its emtrends fails here
extra$offset <- list(grp = more(grid(fit, "grp"), 10))
fit <- polish(Reaction ~ log(Days + 1) * grp + (1 | Subject), "thinned")
models$logged <- list(grp = list(means = columns_of(grid(fit, "grp"))),
                      trends = list(means = columns_of(emtrends(fit, "grp", var = "Days"))))
extra$logged <- list(grp = more(grid(fit, "grp"), 10),
                     function_of = columns_of(emtrends(fit, "grp", var = "log(Days + 1)")))

f <- strength ~ cask + (1 | batch / cask)
fit <- polish(f, "pastes")
models$nested <- list(cask = compared(grid(fit, "cask")), joint = joints(fit, f, "pastes", list("cask")))
extra$nested <- list(cask = more(grid(fit, "cask"), 1))

f <- diameter ~ half + (1 | plate) + (1 | sample)
fit <- polish(f, "penicillin")
models$crossed <- list(half = compared(grid(fit, "half")), joint = joints(fit, f, "penicillin", list("half")))
extra$crossed <- list(half = more(grid(fit, "half"), 1))

f <- Yield ~ kind + (1 | Batch)
fit <- polish(f, "dyestuff2")
models$singular <- list(kind = compared(grid(fit, "kind")), joint = joints(fit, f, "dyestuff2", list("kind")))
extra$singular <- list(kind = more(grid(fit, "kind"), 1))

f <- extro ~ agree + open * class + (1 | school)
fit <- polish(f, "students")
models$covariates <- list(
  class = compared(grid(fit, "class")),
  trends = compared(emtrends(fit, "class", var = "open")),
  joint = joints(fit, f, "students", list("class"))
)
extra$covariates <- list(class = more(grid(fit, "class"), 0.5), trends = more(emtrends(fit, "class", var = "open"), 0.02))

f <- Reaction ~ phase * grp + (1 | Subject)
fit <- polish(f, "holed")
models$missing_cell <- list(
  phase = compared(grid(fit, "phase")),
  by = compared(grid(fit, "phase", by = "grp")),
  joint = list(asymptotic = joint(fit, f, "holed", list(), "asymptotic"))
)
extra$missing_cell <- list(by = more(grid(fit, "phase", by = "grp"), 10))

# Factors nested by the data, and by the formula.
fit <- polish(Reaction ~ phase * grp + sub + (1 | Subject), "thinned")
nests <- list(by_data = list(
  sub = columns_of(grid(fit, "sub")), grp = columns_of(grid(fit, "grp")), phase = columns_of(grid(fit, "phase")),
  cells = columns_of(grid(fit, c("sub", "phase"))), proportional = columns_of(grid(fit, "grp", weights = "proportional")),
  pairs = columns_of(contrast(grid(fit, "sub"), "pairwise", by = "grp", adjust = "none"), infer = TRUE),
  all_pairs = columns_of(contrast(grid(fit, "sub"), "pairwise", adjust = "none"), infer = TRUE),
  joint = nested_joint(fit)))
fit <- polish(Reaction ~ phase * (grp / sub) + (1 | Subject), "thinned")
nests$interacting <- list(sub = columns_of(grid(fit, "sub")), grp = columns_of(grid(fit, "grp")),
                          phase = columns_of(grid(fit, "phase")), joint = nested_joint(fit))
fit <- polish(Reaction ~ grp / phase + (1 | Subject), "thinned")
nests$by_formula <- list(phase = columns_of(grid(fit, "phase")), grp = columns_of(grid(fit, "grp")),
                         pairs = columns_of(contrast(grid(fit, "phase"), "pairwise", by = "grp", adjust = "none"), infer = TRUE),
                         joint = nested_joint(fit))

# Dunnett's test by a numerical integral of its own: mvtnorm at whole degrees of freedom.
dunnett <- function(t, df, R) {
  set.seed(1)
  vapply(t, function(x) 1 - mvtnorm::pmvt(-rep(abs(x), nrow(R)), rep(abs(x), nrow(R)), df = df, corr = R,
                                          algorithm = mvtnorm::GenzBretz(maxpts = 1e7, abseps = 1e-7))[1], 0)
}
R <- 0.35 * diag(4) + 0.65 * outer(c(1, -.5, .8, .2), c(1, -.5, .8, .2))
R <- cov2cor(R)
multivariate_t <- list(correlation = dense(R), t = vec(c(0.5, 1.5, 2.5, 4)), df = 17,
                       p = vec(dunnett(c(0.5, 1.5, 2.5, 4), 17, R)))

write_expected("emmeans", emmeans = unbox(as.character(packageVersion("emmeans"))),
               lmerTest = unbox(as.character(packageVersion("lmerTest"))),
               dyestuff2 = list(Yield = vec(dyestuff2$Yield), Batch = vec(as.character(dyestuff2$Batch)),
                                kind = vec(as.character(dyestuff2$kind))),
               models = models, extra = extra, nests = nests, multivariate_t = multivariate_t)
