# Factors that cross within schools only. school.csv is made by data.R.
source("../common.R")

school <- read.csv("school.csv", stringsAsFactors = TRUE)

write_expected("partially_crossed", models = list(
  two = model(y ~ x + (1 | pupil) + (1 | teacher), "school", "school.csv"),
  three = model(y ~ x + (1 | pupil) + (x | teacher) + (1 | room), "school", "school.csv")
))
