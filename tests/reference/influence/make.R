# Leverages and what is made of them, and refits without a group or a row, each at its own exact
# optimum: `influence.merMod` stops at lme4's default precision, so that the refits are polished here.
source("../common.R")

sleepy <- transform(sleepstudy, w = round(0.5 + (seq_len(180) %% 7) / 4, 2))
sleepy$w[c(3, 50, 51)] <- 0
seen <- subset(sleepy, w > 0)
hsb <- read.csv("../../../merextras/datasets/hsb.csv")

# The weights are columns of the data sets that have them.
fit_of <- function(formula, data_name, REML) {
  data <- get(data_name, envir = globalenv())
  polished(formula, data_name, REML, weights = if (data_name %in% c("seen", "rest_seen")) data$w)
}

without <- function(formula, data_name, REML, rows, label) {
  data <- get(data_name, envir = globalenv())
  name <- if (data_name == "seen") "rest_seen" else "rest"
  assign(name, droplevels(data[-rows, , drop = FALSE]), envir = globalenv())
  fit <- fit_of(formula, name, REML)
  list(level = label, rows = length(rows), theta = vec(getME(fit, "theta")), beta = vec(fixef(fit)),
       sigma = sigma(fit), std_error = vec(sqrt(diag(as.matrix(vcov(fit))))),
       theta_error = attr(fit, "optimum")$theta_error)
}

deletions <- function(formula, data_name, REML, groups, only = NULL) {
  data <- get(data_name, envir = globalenv())
  by <- if (groups == "case") as.character(seq_len(nrow(data)))
        else do.call(paste, c(lapply(strsplit(groups, ":")[[1]], function(g) as.character(data[[g]])), sep = ":"))
  levels <- if (is.null(only)) unique(by) else only
  out <- lapply(levels, function(level) without(formula, data_name, REML, which(by == level), level))
  cat(sprintf("  %s without %s: worst theta error %.1e\n", data_name, groups,
              max(vapply(out, function(x) x$theta_error, numeric(1)))))
  list(groups = groups, REML = REML, refits = out)
}

one <- function(formula, data_name, groups = character(0), ml = character(0), cases = NULL, hat = TRUE,
                only = NULL) {
  both <- lapply(c(REML = TRUE, ML = FALSE), function(REML) {
    fit <- fit_of(formula, data_name, REML)
    c(list(theta = vec(getME(fit, "theta")), sigma = sigma(fit)),
      if (hat) list(hatvalues = vec(hatvalues(fit)), cooks_distance = vec(cooks.distance(fit)),
                    rstudent = vec(rstudent(fit))))
  })
  found <- c(lapply(groups, function(g) deletions(formula, data_name, TRUE, g, only)),
             lapply(ml, function(g) deletions(formula, data_name, FALSE, g, only)),
             if (!is.null(cases)) list(deletions(formula, data_name, TRUE, "case", as.character(cases))))
  list(formula = paste(deparse(formula, width.cutoff = 200), collapse = " "), data = data_name,
       REML = both$REML, ML = both$ML, deletions = found)
}

# lme4's own object, for the definitions: the refits themselves are as loose as its optimiser.
own <- function(fit, groups) {
  i <- if (is.null(groups)) influence(fit) else influence(fit, groups = groups)
  list(levels = vec(rownames(dfbeta(i))), cooks_distance = vec(cooks.distance(i)),
       dfbeta = dense(dfbeta(i)), dfbetas = dense(dfbetas(i)))
}

Singular <- Dyestuff2
models <- list(
  intercept = one(Reaction ~ Days + (1 | Subject), "sleepstudy", "Subject"),
  slopes = one(Reaction ~ Days + (Days | Subject), "sleepstudy", "Subject", ml = "Subject",
               cases = c(1, 10, 57, 60, 180)),
  uncorrelated = one(Reaction ~ Days + (Days || Subject), "sleepstudy"),
  nested = one(strength ~ 1 + (1 | batch / cask), "Pastes", c("batch", "cask:batch"), ml = "batch",
               cases = c(1, 30, 60)),
  crossed = one(diameter ~ 1 + (1 | plate) + (1 | sample), "Penicillin", c("plate", "sample"),
                ml = "sample", cases = c(1, 77)),
  singular = one(Yield ~ 1 + (1 | Batch), "Singular", "Batch", ml = "Batch", cases = c(1, 20)),
  weights = one(Reaction ~ Days + (Days | Subject), "seen", "Subject"),
  hsb = one(mathach ~ ses + meanses + (ses | schid), "hsb", "schid", ml = "schid", hat = FALSE,
            only = c("1224", "8367", "9586")))
models$weights$w <- vec(sleepy$w)
slopes <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
with_zeros <- lmer(Reaction ~ Days + (Days | Subject), sleepy, weights = sleepy$w)
zero <- sleepy$w == 0
write_expected("influence", models = models,
               lme4 = list(subject = own(slopes, "Subject"), case = own(slopes, NULL)[c("levels", "cooks_distance")]),
               zero_weights = list(hatvalues = vec(hatvalues(with_zeros)[zero]),
                                   rstudent = vec(rstudent(with_zeros)[zero]),
                                   cooks_distance = vec(cooks.distance(with_zeros)[zero])))
