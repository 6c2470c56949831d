# What the R workers share, with the same steps and messages as protocol.py. A worker is started as
# Rscript WORKER.R FOLDER TASK REPEAT SECONDS and ends with serve().

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
    labels <- readLines(file("levels"), encoding = "UTF-8")
    if (listed[i, 2] == "text") return(labels[codes + 1L])
    structure(codes + 1L, levels = labels, class = "factor")
  }
  columns <- lapply(seq_len(nrow(listed)), column)
  names(columns) <- listed[, 1]
  structure(columns, row.names = c(NA_integer_, -length(columns[[1]])), class = "data.frame")
}

# Seconds by the clock and of all threads' work.
timed <- function(call) {
  start <- as.numeric(Sys.time())
  work <- proc.time()
  value <- call()
  seconds <- as.numeric(Sys.time()) - start
  work <- proc.time() - work
  list(took = c(seconds, work[["user.self"]] + work[["sys.self"]]), value = value)
}

measure <- function(call, read) {
  start <- as.numeric(Sys.time())
  run <- timed(call)
  first <- last <- run$took
  peak <- memory("VmHWM")
  tell(event = "first", seconds = first[1], cpu = first[2], peak = peak)
  outcome <- read(run$value)
  run <- NULL
  runs <- if (first[1] >= WARM_ENOUGH) list(first) else list()
  times <- function() vapply(runs, `[`, 0, 1)
  enough <- function() {
    length(runs) >= MAX_RUNS || (length(runs) >= repeats && sum(times()) >= MIN_TOTAL)
  }
  while (!enough() && as.numeric(Sys.time()) - start + last[1] < seconds) {
    last <- timed(call)$took
    runs <- c(runs, list(last))
  }
  if (length(runs) == 0) runs <- list(first)
  array <- function(x) structure(x, array = TRUE)
  cpu <- vapply(runs, `[`, 0, 2)
  cold <- identical(runs, list(first))
  c(list(times = array(times()), cpu = array(cpu), cold = cold, peak = peak), outcome)
}

# What a case says: the formula, the family, the factor of the residual variances or "", and the
# abilities of benchmarks/models.py that it needs.
read_model <- function(folder) {
  raw <- as.list(read.dcf(file.path(folder, "model.dcf"))[1, ])
  raw$formula <- as.formula(raw$formula, env = globalenv())
  raw$needs <- strsplit(raw$needs, ", ", fixed = TRUE)[[1]]
  raw
}

# R's name of a family; a negative binomial is each package's own.
family_of <- function(model, negative_binomial = NULL) {
  switch(model$family,
    binomial = binomial(), poisson = poisson(), gamma = Gamma("log"),
    negative_binomial = negative_binomial, stop("unknown family ", model$family))
}

has <- function(package, how) suppressWarnings(suppressPackageStartupMessages(how(package)))

# Do what the command line asks and report it. Each task is a function of the model and the data that
# gives what is timed (`call`) and how its value is read; its attribute `needs` is a further package.
serve <- function(package, tasks, abilities = character()) {
  if (!has(package, function(p) require(p, quietly = TRUE, character.only = TRUE))) {
    done(status = "missing", note = paste("R has no", package))
  }
  version <- as.character(packageVersion(package))
  chosen <- tasks[[task]]
  if (is.null(chosen)) done(status = "n/a", note = paste("no task", task), version = version)
  needs <- attr(chosen, "needs")
  if (!is.null(needs) && !has(needs, function(p) requireNamespace(p, quietly = TRUE))) {
    done(status = "missing", note = paste("R has no", needs), version = version)
  }
  model <- read_model(folder)
  lacking <- setdiff(model$needs, abilities)
  if (length(lacking)) {
    done(status = "n/a", note = paste("no", paste(lacking, collapse = ", ")), version = version)
  }
  base <- memory("VmRSS")
  data <- read_table(folder)
  prepared <- chosen(model, data)
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
}
