"""One worker in a process of its own: started, listened to, killed at the time limit."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.packages import THREAD_VARIABLES, Package
from benchmarks.results import Measurement

ROOT = Path(__file__).resolve().parents[1]
PREFIX = b"benchmark:"
LOOK = 0.25  # seconds between two looks at the clock and at the worker's memory
STARTUP = 300.0  # seconds to import and to read the data, which are not part of the time limit


@dataclass(frozen=True)
class Settings:
    """What holds for every worker of a run."""

    repeat: int
    seconds: float
    threads: int
    memory_gb: float
    peer_python: str
    task: str = "fit"


@dataclass
class Heard:
    """What a worker has said: what it knows of itself, and whether it said all."""

    said: dict[str, Any] = field(default_factory=dict)
    timed_out: bool = False
    too_big: bool = False

    @property
    def finished(self) -> bool:
        """Whether the last message came."""
        return self.said.get("event") == "done"


def run(package: Package, case: str, folder: Path, settings: Settings) -> Measurement:
    """Measure one package on the case in `folder`."""
    result = Measurement(case, package.name, settings.task, "failed", limit=settings.seconds)
    command = package.command(settings.peer_python)
    if command is None:
        result.status, result.note = "missing", "no Rscript on the path"
        return result
    words = [str(folder), settings.task, str(settings.repeat), str(settings.seconds)]
    with tempfile.TemporaryFile() as errors:
        try:
            process = _start([*command, *words], settings, errors)
        except OSError as error:
            result.status, result.note = "missing", f"can't start {command[0]}: {error}"
            return result
        heard = _listen(process, settings)
        _end(process)
        errors.seek(0)
        _fill(result, heard, process.returncode, errors.read().decode(errors="replace"))
    return result


def _start(command: list[str], settings: Settings, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    env = dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, str(settings.threads))
    env["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the worker leave, and kill what is left of it and of what it started."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _listen(process: subprocess.Popen[bytes], settings: Settings) -> Heard:
    """Follow the worker's messages; each one moves the time at which it is given up."""
    assert process.stdout is not None
    heard, rest = Heard(), b""
    allowance = {"ready": settings.seconds, "first": 2 * settings.seconds + 10, "done": 0.0}
    deadline = time.monotonic() + STARTUP
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not heard.finished:
            heard.timed_out = time.monotonic() > deadline
            heard.too_big = 0 < settings.memory_gb < _gigabytes(process.pid)
            if heard.timed_out or heard.too_big:
                break
            if not selector.select(LOOK):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for message in _messages(lines):
                heard.said |= message
                deadline = time.monotonic() + allowance[message["event"]]
    return heard


def _gigabytes(pid: int) -> float:
    """Return the memory that a process has in use: not what it has reserved, which harms nobody."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def _messages(lines: list[bytes]) -> list[dict[str, Any]]:
    """Leave out what the package itself prints."""
    return [json.loads(line[len(PREFIX) :]) for line in lines if line.startswith(PREFIX)]


def _fill(result: Measurement, heard: Heard, code: int, errors: str) -> None:
    said = heard.said
    result.version = said.get("version", "")
    if heard.finished:
        result.status, result.note = said["status"], said["note"]
        result.times, result.cpu = said.get("times", []), said.get("cpu", [])
        result.cold = said.get("cold", False)
        result.criterion, result.converged = said.get("criterion"), said.get("converged")
        result.singular, result.memory = said.get("singular"), said.get("memory", {})
    elif heard.too_big:
        result.status, result.note = "memory", "killed at the memory limit"
    elif heard.timed_out and "event" in said:
        result.status = "timeout"
        if said["event"] == "first":
            result.times, result.cpu, result.cold = [said["seconds"]], [said["cpu"]], True
            result.note = "killed in a later fit"
    elif heard.timed_out:
        result.note = f"not ready after {STARTUP:.0f} s"
    else:
        told = [line for line in errors.strip().splitlines() if not line.startswith("note:")]
        last = told[-1] if told else ""
        result.status, result.note = _why(code, last), f"exit code {code}: {last[:200]}"


def _why(code: int, last: str) -> str:
    """Read the end of a worker that said nothing of it."""
    if code == -signal.SIGKILL or "MemoryError" in last or "memory allocation" in last:
        return "memory"
    return "missing" if "No module named" in last else "failed"
