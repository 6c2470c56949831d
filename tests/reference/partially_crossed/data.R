# The data of this topic: pupils who meet three teachers of their school and the rooms of these,
# and a few pupils who change schools. Run once; school.csv is what the tests and make.R read.
set.seed(20240611)

schools <- 8
teachers <- 8 # of a school
pupils <- 20
rooms <- 5

own <- rep(seq_len(schools), each = pupils)
pupil <- rep(seq_along(own), each = 6)
school <- own[pupil]
mover <- pupil %% 23 == 0 & rep(1:6, length(own)) > 4
school[mover] <- school[mover] %% schools + 1
favourites <- t(replicate(length(own), sample(teachers, 3)))
teacher <- (school - 1) * teachers + favourites[cbind(pupil, sample(3, length(pupil), TRUE))]
room <- (school - 1) * rooms + (teacher + sample(0:2, length(pupil), TRUE)) %% rooms + 1
x <- round(rnorm(length(pupil)), 2)
y <- 10 + 0.5 * x + rnorm(length(own))[pupil] + 0.6 * rnorm(schools * teachers)[teacher] +
  0.4 * rnorm(schools * teachers)[teacher] * x + 0.5 * rnorm(schools * rooms)[room] + rnorm(length(pupil))
out <- data.frame(y = round(y, 3), x, pupil = sprintf("p%03d", pupil), teacher = sprintf("t%02d", teacher),
                  room = sprintf("r%02d", room))
# Some rows are missing.
out <- out[-sample(nrow(out), 100), ]
write.csv(out, "school.csv", row.names = FALSE, quote = FALSE)
