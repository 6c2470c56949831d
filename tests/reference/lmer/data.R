# The simulated data of this topic, drawn once and kept as csv: `Rscript data.R`.
# Numbers are rounded, so that the file is the data to the last digit.
suppressWarnings(set.seed(20240607, sample.kind = "Rejection"))

# One table with a response for each form of a random-effects term.
n <- 360
g <- sample(sprintf("g%02d", 1:20), n, TRUE, prob = seq(1, 3, length.out = 20))
h <- sample(LETTERS[1:7], n, TRUE)
pair <- sample(c("left", "right"), n, TRUE)
f <- sample(c("a", "b", "c"), n, TRUE)
e <- sample(c("u", "v"), n, TRUE)
x <- round(runif(n, 0.5, 3), 3)
z <- round(rnorm(n, 10, 2), 3)
w <- sample(c(0.5, 1, 2, 4), n, TRUE)
k <- sample(1:3, n, TRUE)
off <- round(rnorm(n, 50, 20), 2)
at <- match(g, sort(unique(g)))
b <- matrix(rnorm(20 * 6), 20)
noise <- function(sd = 1) rnorm(n, 0, sd)
fixed <- 5 + 2 * x - 0.3 * z + (f == "b") - 0.5 * (f == "c") * (e == "v")
columns <- list(
  y = fixed + 1.5 * b[at, 1] + (0.5 * b[at, 1] + b[at, 2]) * x + rnorm(7)[match(h, LETTERS)] +
    2 * (pair == "left") + noise() / sqrt(w),
  y_f = fixed + 1.2 * b[at, 1] + (f == "b") * (b[at, 1] + 1.5 * b[at, 2]) +
    (f == "c") * (1.3 * b[at, 3] - 0.5 * b[at, 2]) + noise(),
  y_x = fixed + b[at, 4] + (0.6 * b[at, 5] - 0.3 * b[at, 4]) * x^2 + noise(),
  y_z = fixed + b[at, 4] + 0.8 * b[at, 5] * x + 0.3 * b[at, 6] * (z - 10) + noise(),
  y_null = fixed + noise(3),
  y_one = fixed + b[at, 1] * (2 + x) + noise(2)
)
forms <- data.frame(lapply(columns, round, 4), x, z, f, e, g, h, pair, w, k, off)
write.csv(forms, "forms.csv", row.names = FALSE, quote = FALSE)

# Persons in sites judge items on days: crossed, nested in crossed, unbalanced.
n <- 420
person <- sample(30, n, TRUE, prob = rexp(30) + 0.2)
site <- sample(5, 30, TRUE)[person]
item <- sample(12, n, TRUE)
day <- sample(6, n, TRUE)
score <- 20 + 2 * rnorm(30)[person] + rnorm(5)[site] + 1.5 * rnorm(12)[item] + rnorm(6)[day] +
  rnorm(n, 0, 1.5)
trials <- data.frame(score = round(score, 4), age = round(rnorm(30, 40, 10))[person],
                     person = sprintf("p%02d", person), site = paste0("s", site),
                     item = sprintf("i%02d", item), day = paste0("d", day))
trials$person_in_site <- ave(person, site, FUN = function(v) match(v, sort(unique(v))))
write.csv(trials, "trials.csv", row.names = FALSE, quote = FALSE)
