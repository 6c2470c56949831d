# What R answers to the calls of merextras.r that are more than another name.
source("../common.R")

pieces <- function(fit) {
  list(
    k = getME(fit, "k"), m = getME(fit, "m"), N = getME(fit, "N"), REML = getME(fit, "REML"),
    p_i = vec(getME(fit, "p_i")), q_i = vec(getME(fit, "q_i")), m_i = vec(getME(fit, "m_i")),
    ST = lapply(unname(getME(fit, "ST")), dense),
    mmList = lapply(unname(getME(fit, "mmList")), function(x) dense(x[1:5, , drop = FALSE])),
    A_rows = vec(rowSums(as.matrix(getME(fit, "A")))),
    A_columns = vec(colSums(as.matrix(getME(fit, "A")))[1:20]),
    devfun_at_1 = getME(fit, "devfun")(rep(1, length(getME(fit, "theta"))))
  )
}

correlated <- polished(Reaction ~ Days + (Days | Subject), "sleepstudy")
apart <- polished(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), "sleepstudy")
nested <- polished(strength ~ 1 + (1 | cask:batch) + (1 | batch), "Pastes")

herds <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
  control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(rhoend = 1e-9)))

write_expected(
  "r_idioms",
  glmer = list(
    deviance = deviance(herds), link = vec(predict(herds)[1:6]),
    zero = vec(predict(herds, re.form = NA)[1:6]),
    response = vec(predict(herds, type = "response")[1:6])
  ),
  glmer_control = vec(gsub(".", "_", names(formals(glmerControl)), fixed = TRUE)),
  getME = lapply(list(correlated = correlated, apart = apart, nested = nested), pieces),
  AIC = records(AIC(correlated, apart)), AIC_k3 = AIC(correlated, k = 3),
  BIC = records(BIC(correlated, apart)),
  old_names = vec(rownames(confint(correlated, method = "Wald", oldNames = TRUE))),
  slots = vec(slotNames(correlated)),
  lmer_control = vec(gsub(".", "_", names(formals(lmerControl)), fixed = TRUE))
)
