"""Run the R scripts of this folder and rewrite every ``<topic>/expected.json``.

    python tests/reference/regenerate.py                # all topics
    python tests/reference/regenerate.py slopes arm     # some

R with lme4, lmerTest, pbkrtest, arm, RLRsim, merTools, performance, broom.mixed, emmeans, mice,
blme and jsonlite is needed here only; tests read the JSON. The tutorial's data set is looked for in
``--shared``, else in ``$MEREXTRAS_SHARED``, else in ``../shared/data`` beside the repository.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def topics() -> list[str]:
    return sorted(script.parent.name for script in HERE.glob("*/make.R"))


def run(topic: str, rscript: str, env: dict[str, str]) -> bool:
    """Run one script from its own folder, so that its relative paths hold."""
    print(f"{topic} ...", flush=True)
    done = subprocess.run([rscript, "make.R"], cwd=HERE / topic, env=env, check=False)
    return done.returncode == 0


def main(argv: list[str] | None = None) -> int:
    known = topics()
    parser = argparse.ArgumentParser(description="Regenerate the reference numbers with R.")
    topics_help = f"one or more of: {', '.join(known)} (default: all)"
    parser.add_argument("topic", nargs="*", help=topics_help)
    parser.add_argument("--shared", help="folder that holds lmm_data.csv")
    args = parser.parse_args(argv)

    unknown = sorted(set(args.topic) - set(known))
    if unknown:
        parser.error(f"no topic {', '.join(unknown)}; there are {', '.join(known)}")
    rscript = shutil.which("Rscript")
    if rscript is None:
        parser.error(
            "Rscript is not on the path. Install R with lme4, lmerTest, pbkrtest, arm, RLRsim, "
            "merTools, performance, broom.mixed, emmeans, mice, blme and jsonlite (Debian: "
            "r-cran-lme4, r-cran-lmertest, ...) and run this again."
        )

    env = dict(os.environ)
    if args.shared:
        env["MEREXTRAS_SHARED"] = str(Path(args.shared).resolve())
    elif env.get("MEREXTRAS_SHARED"):  # R runs in another folder: a relative path would break
        env["MEREXTRAS_SHARED"] = str(Path(env["MEREXTRAS_SHARED"]).resolve())

    failed = [topic for topic in args.topic or known if not run(topic, rscript, env)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
