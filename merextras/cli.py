"""The command ``merextras``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import merextras
from merextras.exceptions import InvalidArgumentError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 if all went well, 2 on bad input."""
    parser = _parser()
    given = parser.parse_args(argv)
    if given.command is None:
        parser.print_help()
        return 2
    return _demo(given.data, given.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="merextras", description="lme4's answers for statsmodels' mixed models."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {merextras.__version__}")
    commands = parser.add_subparsers(dest="command")
    demo = commands.add_parser(
        "demo",
        help="fit the tutorial's model, print its results, write its figures",
        description="Fit extro ~ open + agree + social with an intercept by school; print each "
        "result with a one-line reading; write the figures as PNG.",
    )
    demo.add_argument(
        "--data",
        type=Path,
        help="CSV with extro, open, agree, social, class, school (bundled twin)",
    )
    demo.add_argument(
        "--out", type=Path, default=Path("merextras-demo"), help="folder for figures (%(default)s)"
    )
    return parser


def _demo(data: Path | None, out: Path) -> int:
    # The figures go to files: no display is needed or opened.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from merextras import demo  # noqa: PLC0415

    try:
        figures = demo.run(demo.read_data(data), out)
    except (InvalidArgumentError, OSError) as err:
        print(f"merextras demo: {err}", file=sys.stderr)
        return 2
    print(f"\n{len(figures)} figures in {out.resolve()}:")
    for path in figures:
        print(f"  {path.name}")
    return 0
