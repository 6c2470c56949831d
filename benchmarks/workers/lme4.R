# lme4: Rscript lme4.R FOLDER TASK REPEAT SECONDS. The same steps and messages as protocol.py.

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
task <- arguments[2]
repeats <- as.integer(arguments[3])
seconds <- as.numeric(arguments[4])

MIN_TOTAL <- 1
MAX_RUNS <- 200L
WARM_ENOUGH <- 10

json <- function(x) {
  if (is.null(x) || length(x) == 0 || (length(x) == 1 && is.na(x))) return("null")
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '":', vapply(x, json, ""), collapse = ","), "}"))
  }
  one <- if (is.logical(x)) tolower(as.character(x))
    else if (is.numeric(x)) sprintf("%.17g", x)
    else paste0('"', gsub('(["\\\\])', "\\\\\\1", gsub("[[:cntrl:]]+", " ", x)), '"')
  if (length(one) == 1 && is.null(attr(x, "array"))) one
  else paste0("[", paste(one, collapse = ","), "]")
}
tell <- function(...) {
  cat("benchmark:", json(list(...)), "\n", sep = "")
  flush(stdout())
}
done <- function(...) {
  tell(event = "done", ...)
  quit(save = "no")
}

memory <- function(field) {
  status <- tryCatch(readLines("/proc/self/status"), error = function(e) character(), warning = function(w) character())
  line <- grep(paste0("^", field, ":"), status, value = TRUE)
  if (length(line) == 0) return(NA_real_)
  as.numeric(sub("^[^0-9]*([0-9]+).*$", "\\1", line)) / 1024
}
forget_peak <- function() try(cat("5", file = "/proc/self/clear_refs"), silent = TRUE)

read_table <- function(folder) {
  listed <- read.table(file.path(folder, "columns.tsv"), sep = "\t", quote = "",
                       colClasses = "character", comment.char = "")
  column <- function(i) {
    file <- function(ending) file.path(folder, paste0(i - 1, ".", ending))
    rows <- function(path, width) file.info(path)$size / width
    if (listed[i, 2] == "number") {
      return(readBin(file("f64"), "double", rows(file("f64"), 8), endian = "little"))
    }
    codes <- readBin(file("i32"), "integer", rows(file("i32"), 4), size = 4, endian = "little")
    structure(codes + 1L, levels = readLines(file("levels"), encoding = "UTF-8"), class = "factor")
  }
  columns <- lapply(seq_len(nrow(listed)), column)
  names(columns) <- listed[, 1]
  structure(columns, row.names = c(NA_integer_, -length(columns[[1]])), class = "data.frame")
}

timed <- function(call) {
  start <- as.numeric(Sys.time())
  value <- call()
  list(seconds = as.numeric(Sys.time()) - start, value = value)
}

measure <- function(call, read) {
  start <- as.numeric(Sys.time())
  run <- timed(call)
  first <- last <- run$seconds
  peak <- memory("VmHWM")
  tell(event = "first", seconds = first, peak = peak)
  outcome <- read(run$value)
  run <- NULL
  times <- if (first >= WARM_ENOUGH) first else numeric()
  enough <- function() {
    length(times) >= MAX_RUNS || (length(times) >= repeats && sum(times) >= MIN_TOTAL)
  }
  while (!enough() && as.numeric(Sys.time()) - start + last < seconds) {
    last <- timed(call)$seconds
    times <- c(times, last)
  }
  cold <- length(times) == 0 || times[1] == first
  if (length(times) == 0) times <- first
  attr(times, "array") <- TRUE
  c(list(times = times, cold = cold, peak = peak), outcome)
}

# Tasks: each gives what is timed and how its value is read.
fit_task <- function(formula, data) {
  list(
    call = function() lmer(formula, data),
    read = function(fit) list(
      criterion = REMLcrit(fit),
      converged = length(grep("boundary", unlist(fit@optinfo$conv$lme4$messages),
                              value = TRUE, invert = TRUE)) == 0,
      singular = isSingular(fit)
    )
  )
}

# A task on a fit that is made beforehand. `needs` is a further package.
after <- function(call, value, needs = NULL) {
  structure(function(formula, data) {
    fit <- if (identical(needs, "lmerTest")) lmerTest::lmer(formula, data) else lmer(formula, data)
    # R finds the data and the formula of a refit where the fit was called.
    fit@call$formula <- formula
    fit@call$data <- data
    list(call = function() call(fit), read = function(x) list(criterion = value(x)))
  }, needs = needs)
}
tasks <- list(
  fit = fit_task,
  profile = after(function(m) confint(profile(m)), function(x) sum(x)),
  bootstrap = after(
    function(m) bootMer(m, function(x) c(sigma(x), getME(x, "theta"), fixef(x)), nsim = 1000, seed = 1),
    function(x) sd(x$t[, 1])
  ),
  power = after(
    function(m) {
      last <- as.numeric(seq_along(fixef(m)) == length(fixef(m)))
      m <- as(m, "lmerMod")
      vapply(simulate(m, 100, seed = 1), function(y) {
        fit <- lmerTest::as_lmerModLmerTest(refit(m, y))
        lmerTest::contest1D(fit, last, ddf = "Kenward-Roger")[["Pr(>|t|)"]]
      }, 0)
    },
    function(x) mean(x), "lmerTest"
  ),
  kr = after(function(m) anova(m, type = 1, ddf = "Kenward-Roger"), function(x) sum(x$DenDF), "lmerTest"),
  predict_interval = after(
    function(m) merTools::predictInterval(m, level = 0.8, n.sims = 1000, seed = 1),
    function(x) mean(x$upr - x$lwr), "merTools"
  ),
  re_sim = after(
    function(m) merTools::REsim(m, n.sims = 1000, seed = 1), function(x) mean(x$sd), "merTools"
  ),
  influence = after(
    function(m) {
      group <- names(getME(m, "flist"))[1]
      list(influence(m, groups = group)[[sprintf("fixed.effects[-%s]", group)]], fixef(m))
    },
    function(x) max(abs(sweep(x[[1]], 2, x[[2]])))
  )
)

if (!suppressWarnings(suppressPackageStartupMessages(require(lme4, quietly = TRUE)))) {
  done(status = "missing", note = "R has no lme4")
}
version <- as.character(packageVersion("lme4"))
if (is.null(tasks[[task]])) done(status = "n/a", note = paste("no task", task), version = version)

needs <- attr(tasks[[task]], "needs")
if (!is.null(needs) && !suppressWarnings(suppressPackageStartupMessages(requireNamespace(needs, quietly = TRUE)))) {
  done(status = "missing", note = paste("R has no", needs), version = version)
}
base <- memory("VmRSS")
formula <- as.formula(readLines(file.path(folder, "formula.txt")))
data <- read_table(folder)
prepared <- tasks[[task]](formula, data)
invisible(gc())
forget_peak()
used <- memory("VmRSS")
tell(event = "ready", version = version)
result <- tryCatch(
  suppressMessages(suppressWarnings(measure(prepared$call, prepared$read))),
  error = function(e) {
    status <- if (grepl("cannot allocate|memory", conditionMessage(e))) "memory" else "failed"
    done(status = status, note = conditionMessage(e), version = version)
  }
)
peak <- result$peak
result$peak <- NULL
do.call(done, c(
  list(status = "ok", note = "", version = version,
       memory = list(import = base, data = used, peak = peak)),
  result
))
