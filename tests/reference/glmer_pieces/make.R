# Pieces of glmer fits by lme4's getME, standardised inputs by arm, variances by insight, slopes of
# probabilities by emmeans, fits to imputed data by merTools.
#
# Fits by glmer, iterated as far as it goes.
source("../common.R")
suppressPackageStartupMessages({
  library(arm)
  library(insight)
  library(emmeans)
  library(merTools)
})

bundled <- function(name) {
  read.csv(file.path("..", "..", "..", "merextras", "datasets", paste0(name, ".csv")),
           stringsAsFactors = TRUE)
}
cbpp <- bundled("cbpp")
cbpp$period <- factor(cbpp$period)
women <- bundled("contraception")
women$district <- factor(women$district)
control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, check.conv.grad = "ignore",
                        optCtrl = list(rhobeg = 2e-4, rhoend = 1e-10, maxfun = 1e5))
herds <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
               control = control)
counts <- glmer(incidence ~ period + (1 | herd), cbpp, poisson, control = control,
                offset = log(size))
districts <- glmer(use ~ urban + age + (1 + urban | district), women, binomial,
                   control = control)

pieces <- function(m) {
  get <- function(name) getME(m, name)
  dc <- get("devcomp")
  sums <- function(x) vec(c(sum(x), sum(x^2)))
  cmp <- dc$cmp[c("ldL2", "ldRX2", "wrss", "ussq", "pwrss", "drsum", "dev")]
  dims <- dc$dims[c("N", "n", "p", "nmp", "q", "nth", "useSc", "reTrms", "spFe", "REML", "GLMM",
                    "NLMM", "nAGQ")]
  at <- c(get("theta"), get("beta"))
  list(
    theta = vec(get("theta")), beta = vec(get("beta")), fixef = named(get("fixef")),
    b = vec(as.numeric(get("b"))), u = vec(get("u")), y = vec(as.numeric(get("y"))),
    mu = vec(as.numeric(get("mu"))), offset = vec(get("offset")),
    weights = vec(as.numeric(weights(m))),
    Gp = vec(get("Gp")), Tp = vec(get("Tp")), Lind = vec(get("Lind")),
    lower = bounds(get("lower")), lambda = vec(get("Lambda")@x), lambdat = vec(get("Lambdat")@x),
    zt = sums(get("Zt")@x), a = sums(as(get("A"), "CsparseMatrix")@x),
    RX = as.matrix(get("RX")), rzx = sums(as.matrix(get("RZX"))),
    tlist = lapply(unname(get("Tlist")), as.matrix),
    st = lapply(unname(get("ST")), as.matrix),
    X = as.matrix(unname(get("X")))[1:5, , drop = FALSE],
    flist = vec(as.character(get("flist")[[1]])[1:20]),
    cnms = list(names = vec(names(get("cnms"))), effects = vec(get("cnms")[[1]])),
    dims = c(list(n = get("n"), N = get("N"), p = get("p"), q = get("q"), k = get("k"),
                  m = get("m"), n_rtrms = get("n_rtrms"), n_rfacs = get("n_rfacs")),
             REML = get("REML")),
    each = list(p_i = vec(get("p_i")), q_i = vec(get("q_i")), l_i = vec(get("l_i")),
                m_i = vec(get("m_i"))),
    is_REML = get("is_REML"), cmp = as.list(cmp), devcomp_dims = as.list(dims)
  )
}

rescaled <- function(m, ...) {
  s <- standardize(m, ...)
  list(names = vec(names(fixef(s))), fixef = vec(fixef(s)), theta = vec(getME(s, "theta")),
       log_lik = as.numeric(logLik(s)))
}

parts <- function(m) {
  v <- get_variance(m)
  list(fixed = v$var.fixed, random = v$var.random, distribution = v$var.distribution)
}

trends <- function(m, specs, var, at = NULL) {
  s <- as.data.frame(emtrends(m, specs, var = var, regrid = "response", delta.var = 1e-5, at = at))
  list(trend = vec(s[[paste0(var, ".trend")]]), se = vec(s$SE))
}

set.seed(20)
imputed <- lapply(1:3, function(i) {
  d <- cbpp
  d$x <- round(d$size / 10 + rnorm(nrow(d), 0, 0.5), 3)
  d
})
fits <- glmerModList(cbind(incidence, size - incidence) ~ x + period + (1 | herd), imputed,
                     family = binomial, control = control)
each <- lapply(fits, function(m) list(fixef = vec(fixef(m)), vcov = as.matrix(vcov(m)),
                                      sd = as.data.frame(VarCorr(m))$sdcor[1]))
pooled <- modelFixedEff(fits)

write_expected("glmer_pieces",
  herds = pieces(herds), counts = pieces(counts), districts = pieces(districts),
  standardized = list(districts = rescaled(districts),
                      full = rescaled(districts, binary.inputs = "full")),
  variances = list(herds = parts(herds), districts = parts(districts)),
  trends = list(urban = trends(districts, ~ urban, "age"),
                at = trends(districts, ~ urban + age, "age", list(age = c(-10, 10)))),
  list = list(x = lapply(imputed, function(d) vec(d$x)), each = each,
              estimate = vec(pooled$estimate))
)
