# Priors of the covariances (blme), by REML and ML: the penalised criterion and its optimum.
#
# blme's own optimum is a start: its penalised deviance function is driven on to a zero gradient by
# nlminb at tight control and Newton steps on fourth-order differences (common.R).
source("../common.R")
suppressPackageStartupMessages(library(blme))

machines <- as.data.frame(nlme::Machines)
machines$Worker <- factor(as.character(machines$Worker))
orthodont <- as.data.frame(nlme::Orthodont)
orthodont$Subject <- factor(as.character(orthodont$Subject))
dyestuff <- lme4::Dyestuff
dyestuff2 <- lme4::Dyestuff2
sleepstudy <- lme4::sleepstudy
penicillin <- lme4::Penicillin
pastes <- lme4::Pastes
S <- matrix(c(2, 0.5, 0.5, 1), 2)

# What blme's function has left behind at a theta.
state_of <- function(f, theta, reml) {
  value <- f(theta)
  rho <- environment(f)
  n <- length(rho$resp$y)
  pwrss <- rho$resp$wrss() + rho$pp$sqrL(1)
  list(value = value, sigma = sqrt(pwrss / (if (reml) n - ncol(rho$pp$X) else n)),
       beta = vec(rho$pp$beta(1)))
}

one <- function(name, formula, prior, ours, reml) {
  # The prior is an expression that blmer evaluates itself.
  asked <- as.call(list(quote(blmer), formula = formula, data = as.name(name), REML = reml,
                        cov.prior = prior))
  fit <- suppressWarnings(suppressMessages(eval(asked, globalenv())))
  f <- suppressWarnings(eval(as.call(c(as.list(asked), list(devFunOnly = TRUE))), globalenv()))
  own <- getME(fit, "theta")
  lower <- fit@lower
  best <- find_optimum(f, own, lower, fit@cnms, 6)
  at <- state_of(f, best$theta, reml)
  other <- ifelse(lower == 0, 0.7, 0.2) # any theta: prior and likelihood apart
  plain <- as.function(fit)(other)
  cat(sprintf("%s %s %s: blme short by %.1e, theta error %.1e\n", name, ours, reml,
              f(own) - at$value, best$theta_error))
  list(data = name, formula = paste(deparse(formula, width.cutoff = 200), collapse = " "),
       prior = ours, reml = reml, criterion = at$value, theta = vec(best$theta), sigma = at$sigma,
       beta = at$beta, blme = f(own), blme_theta = vec(own),
       apart = list(theta = vec(other), criterion = f(other), deviance = plain))
}

asked <- list(
  list("dyestuff", Yield ~ 1 + (1 | Batch), quote(wishart), "wishart"),
  list("dyestuff", Yield ~ 1 + (1 | Batch), quote(gamma), "gamma"),
  list("dyestuff", Yield ~ 1 + (1 | Batch), quote(invwishart), "invwishart"),
  list("dyestuff", Yield ~ 1 + (1 | Batch), quote(gamma(shape = 3, rate = 0.5)), "Gamma(3, 0.5)"),
  list("dyestuff", Yield ~ 1 + (1 | Batch),
       quote(gamma(shape = 3, rate = 0.5, posterior.scale = "var")), "Gamma(3, 0.5, 'variance')"),
  list("dyestuff2", Yield ~ 1 + (1 | Batch), quote(wishart), "wishart"),
  list("dyestuff2", Yield ~ 1 + (1 | Batch), quote(gamma(shape = 2, rate = 0.1)), "Gamma(2, 0.1)"),
  list("sleepstudy", Reaction ~ Days + (Days | Subject), quote(wishart), "wishart"),
  list("sleepstudy", Reaction ~ Days + (Days | Subject), quote(wishart(df = 5, scale = S)),
       "Wishart(5, [[2, 0.5], [0.5, 1]])"),
  list("sleepstudy", Reaction ~ Days + (Days | Subject), quote(invwishart), "invwishart"),
  list("sleepstudy", Reaction ~ Days + (Days | Subject), quote(invwishart(df = 4, scale = S)),
       "InverseWishart(4, [[2, 0.5], [0.5, 1]])"),
  list("sleepstudy", Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), quote(wishart), "wishart"),
  list("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), quote(wishart), "wishart"),
  list("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), quote(list(plate ~ wishart)),
       "{'plate': 'wishart'}"),
  list("pastes", strength ~ 1 + (1 | batch) + (1 | cask:batch), quote(wishart), "wishart"),
  list("orthodont", distance ~ age + (age | Subject), quote(wishart), "wishart"),
  list("machines", score ~ Machine + (Machine | Worker), quote(wishart), "wishart"),
  list("machines", score ~ Machine + (Machine | Worker), quote(wishart(df = 6, scale = 4)), "Wishart(6, 4.0)")
)
cases <- list()
for (a in asked) for (reml in c(TRUE, FALSE)) {
  cases[[length(cases) + 1]] <- do.call(one, c(unname(a), list(reml = reml)), quote = TRUE)
}
frames <- list(dyestuff2 = records(dyestuff2), orthodont = records(orthodont[c("distance", "age", "Subject")]),
               machines = records(machines[c("Worker", "Machine", "score")]))
write_expected("cov_prior", blme = unbox(as.character(packageVersion("blme"))), cases = cases, data = frames)
