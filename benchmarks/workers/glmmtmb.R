# glmmTMB: fits alone. Its fit includes the standard errors of all parameters.
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "protocol.R"))

fit_task <- function(model, data) {
  linear <- model$family == "gaussian"
  residuals_by <- if (nzchar(model$residual_by)) reformulate(c("0", model$residual_by)) else ~ 1
  family <- if (linear) gaussian() else family_of(model, nbinom2())
  list(
    call = function() {
      glmmTMB(model$formula, data, family = family, dispformula = residuals_by, REML = linear)
    },
    # logLik() is NA where the Hessian is not positive definite; the objective is what was reached.
    read = function(m) list(
      criterion = 2 * m$fit$objective,
      converged = m$fit$convergence == 0 && isTRUE(m$sdr$pdHess)
    )
  )
}

serve(
  "glmmTMB",
  list(fit = fit_task),
  abilities = c("families", "covariance structures", "residual variance by group")
)
