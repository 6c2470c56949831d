"""One worker a package, each run in a process of its own."""
