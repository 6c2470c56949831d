"""The packages that are compared, and how each one's worker is started."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORKERS = Path(__file__).resolve().parent / "workers"
OURS = "merextras"
REFERENCE = "lme4"
GLMMTMB = "glmmTMB"

#: The same number of threads for every library that anyone of them uses.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


@dataclass(frozen=True)
class Package:
    """A package by the name one installs it by; `worker` is a module, or an R script."""

    name: str
    worker: str
    peer: bool = True

    @property
    def is_r(self) -> bool:
        """Whether the worker is an R script."""
        return self.worker.endswith(".R")

    def command(self, peer_python: str) -> Sequence[str] | None:
        """Return how to start the worker; None when there is no interpreter for it."""
        if self.is_r:
            rscript = shutil.which("Rscript")
            return rscript and [rscript, "--vanilla", str(WORKERS / self.worker)]
        python = peer_python if self.peer else sys.executable
        return [python, "-m", f"benchmarks.workers.{self.worker}"]


PACKAGES: tuple[Package, ...] = (
    Package(OURS, "merextras", peer=False),
    Package(REFERENCE, "lme4.R"),
    Package(GLMMTMB, "glmmtmb.R"),
    Package("statsmodels", "statsmodels"),
    Package("mixedlm", "mixedlm"),
    Package("glmm", "glmm"),
    Package("lme-python", "lme_python"),
    Package("interlace-lme", "interlace"),
    Package("mixedlm-rs", "mixedlm_rs"),
)
