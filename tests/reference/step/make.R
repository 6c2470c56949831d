# Backward elimination by lmerTest::step, on models of its own help pages and others.
suppressPackageStartupMessages({
  library(lmerTest)
  library(jsonlite)
})
data("ham", "carrots", "TVbo", package = "lmerTest")
TVbo <- TVbo[c("Assessor", "TVset", "Picture", "Coloursaturation")]
ham <- ham[c("Consumer", "Product", "Information", "Gender", "Informed.liking")]
names(ham)[5] <- "Liking"
carrots <- na.omit(carrots[c("Preference", "sens2", "sens1", "Homesize", "Consumer")])
frames <- list(ham = ham, carrots = carrots, tvbo = TVbo)
for (name in names(frames)) write.csv(frames[[name]], paste0(name, ".csv"), row.names = FALSE)
sleepstudy <- lme4::sleepstudy
Pastes <- lme4::Pastes
taken <- function(m, ...) {
  found <- step(m, ...)
  table <- function(x) {
    x <- as.data.frame(x)
    list(rows = I(rownames(x)), values = matrix(unlist(lapply(x, as.numeric)), nrow(x), ncol(x)))
  }
  final <- attr(found, "model")
  list(random = table(found$random), fixed = table(found$fixed), fixef = as.numeric(fixef(final)),
       npar = attr(logLik(final), "df"), log_lik = as.numeric(logLik(final)))
}
models <- list(
  sleep = taken(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)),
  ham = taken(lmer(Liking ~ Product * Information * Gender + (1 | Consumer) + (1 | Consumer:Product), ham,
    contrasts = list(Product = "contr.treatment"))),
  carrots = taken(lmer(Preference ~ sens2 + Homesize + (1 + sens2 + sens1 | Consumer), carrots)),
  tvbo = taken(lmer(Coloursaturation ~ TVset * Picture + (1 | Assessor) + (1 | Assessor:TVset) + (1 | Assessor:Picture), TVbo)),
  pastes = taken(lmer(strength ~ 1 + (1 | batch / cask), Pastes)),
  kept = taken(lmer(Liking ~ Product * Information * Gender + (1 | Consumer) + (1 | Consumer:Product), ham),
    keep = "Gender", ddf = "Kenward-Roger")
)
out <- list(versions = list(R = R.version.string, lmerTest = as.character(packageVersion("lmerTest"))), models = models)
write_json(out, "expected.json", digits = 15, auto_unbox = TRUE, na = "null", pretty = FALSE)
