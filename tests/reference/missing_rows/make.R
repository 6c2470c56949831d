# Rows with missing values after na.action = na.exclude: which results of lme4 have a row for each row
# of the data, and their numbers at the exact optimum.
source("../common.R")

d <- read.csv(file.path("..", "..", "..", "merextras", "datasets", "sleepstudy.csv"))
d$w <- 1 + (seq_len(nrow(d)) - 1) %% 3
d$Reaction[3] <- NA
d$Days[10] <- NA
d$Subject[20] <- NA
d$w[30] <- NA
d$Subject <- factor(d$Subject)

own <- lmer(Reaction ~ Days + (Days | Subject), d, weights = w, na.action = na.exclude)
sizes <- function(fit) list(
  fitted = length(fitted(fit)), residuals = length(residuals(fit)),
  hatvalues = length(hatvalues(fit)), rstudent = length(rstudent(fit)),
  cooks_distance = length(cooks.distance(fit)), predict = length(predict(fit)),
  simulate = nrow(simulate(fit, 1, seed = 1)), weights = length(weights(fit)),
  model_frame = nrow(model.frame(fit)), model_matrix = nrow(model.matrix(fit)),
  get_me_mu = length(getME(fit, "mu")), nobs = nobs(fit))

complete <- d[complete.cases(d), ]
fit <- polished(Reaction ~ Days + (Days | Subject), "complete", weights = complete$w)
attr(fit@frame, "na.action") <- attr(own@frame, "na.action")

write_expected("missing_rows",
  sizes = sizes(own),
  left_out = vec(as.integer(attr(own@frame, "na.action")) - 1L),
  by_row = list(
    fitted = vec(fitted(fit)),
    residuals = vec(residuals(fit)),
    pearson = vec(residuals(fit, type = "pearson", scaled = TRUE)),
    population = vec(predict(fit, re.form = NA)),
    hatvalues = vec(hatvalues(fit)),
    rstudent = vec(rstudent(fit)),
    cooks_distance = vec(cooks.distance(fit))))
