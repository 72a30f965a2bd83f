# SPDX-License-Identifier: BSD-3-Clause
"""Machines under emulation: boot one, wait for its end, read what it said."""
import concurrent.futures
import contextlib
import fcntl
import heapq
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("IOVAGEOM_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "iovageom"
)
LOGS = os.path.join(CACHE, "logs")
# All time-outs are for a machine that has nothing else to do; a busy one needs more.
PATIENCE = int(os.environ.get("IOVAGEOM_E2E_PATIENCE") or 1)
# Machines at a time.
SLOTS = int(os.environ.get("IOVAGEOM_E2E_SLOTS") or os.cpu_count() or 1)


class CaseError(Exception):
    def __init__(self, reasons, log=None):
        super().__init__(reasons)
        self.reasons = [reasons] if isinstance(reasons, str) else reasons
        self.log = log


class Missing(CaseError):
    """What a case needs is not in the archive that this machine installs from."""


class Interrupted(Exception):
    """The run is at its end."""


_made = {}
_making = threading.Lock()
# Things made at a time: while one links or unpacks, others compile.
_makers = threading.BoundedSemaphore(3)
_running = set()
_over = threading.Event()


class Queue:
    """At most SLOTS cases at a time, in an order of one's own. A thread is a case's."""

    def __init__(self):
        self.free = SLOTS
        self.waiting = []
        self.changed = threading.Condition()
        self.mine = threading.local()

    @contextlib.contextmanager
    def turn(self, place):
        self.mine.place = place
        self.mine.waited = 0
        self.take()
        try:
            yield
        finally:
            self.give()

    def take(self):
        with self.changed:
            heapq.heappush(self.waiting, self.mine.place)
            self.changed.wait_for(lambda: self.free and self.waiting[0] == self.mine.place)
            heapq.heappop(self.waiting)
            self.free -= 1
            self.changed.notify_all()

    def give(self):
        with self.changed:
            self.free += 1
            self.changed.notify_all()

    @contextlib.contextmanager
    def aside(self):
        """Let others go on while this case waits for one of them; that is not its own time."""
        if not hasattr(self.mine, "place"):
            yield
            return
        begin = time.monotonic()
        self.give()
        try:
            yield
        finally:
            self.take()
            self.mine.waited += time.monotonic() - begin

    def waited(self):
        return self.mine.waited


queue = Queue()


def once(key, make):
    """What make() gives, made once a run: cases that look at the same boot share it."""
    with _making:
        first = key not in _made
        made = _made.setdefault(key, concurrent.futures.Future())
    if first:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)
            raise
    elif not made.done():
        with queue.aside():
            concurrent.futures.wait([made])
    return made.result()


@contextlib.contextmanager
def process(command, **more):
    """With all that it starts; ended when the run is."""
    go_on()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, **more
    ) as started:
        _running.add(started)
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            _running.discard(started)


def go_on():
    if _over.is_set():
        raise Interrupted


def end_all():
    """For an interrupted run: leave nothing behind, and start nothing else."""
    _over.set()
    for started in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def shell(*words):
    """A function of cache.sh, once a run, and one at a time of all runs; what it printed."""
    status, text = once(words, lambda: shell_once(words))
    if status == 77:
        raise Missing(f"cannot be fetched: {' '.join(words[1:])}")
    if status:
        raise CaseError(f"cannot prepare: {' '.join(words)}")
    return text


def shell_once(words):
    name = "-".join(words[:3]).replace("/", "_")
    script = f". {HERE}/cache.sh; mkdir -p $IOVAGEOM_CACHE; locked {name} {' '.join(words)}"
    command = ["bash", "-c", script, "tests/e2e"]
    with _makers, process(command, stdout=subprocess.PIPE, text=True) as made:
        begin = time.monotonic()
        text = made.communicate()[0].strip()
    seconds = time.monotonic() - begin
    if seconds > 10:
        print(f"      {seconds:6.1f} s to prepare: {' '.join(words)}", flush=True)
    return made.returncode, text


def kernel(version, arch="amd64"):
    shell("fetch_package", "amd64", "linux-source-" + version)
    return shell("build_kernel", version, arch)


def stock_qemu(version):
    """A QEMU under test, stock, as the outermost machine."""
    shell("fetch_source", "qemu", version)
    return [shell("build_qemu", version, "stock"), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu"]


def image_with(qemu, kind):
    """L1's image with an emulator under test."""
    shell("fetch_source", "qemu", qemu)
    return shell("build_l1", qemu, kind)


def userland(arch="amd64"):
    return shell("build_userland", arch)


def emulator(name):
    """Debian's QEMU for the outermost machine."""
    shell("need_packages", "qemu-system-x86", "qemu-system-arm", "qemu-system-data", "seabios",
          "ipxe-qemu")
    return name


def used(what):
    """What this run has made in that way: the words of its names."""
    return sorted(key[1:] for key, made in _made.items()
                  if key[0] == what and made.done() and not made.exception() and not made.result()[0])


class Scratch:
    """A folder for one boot; gone afterwards."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="iovageom-e2e-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def blank(self, name):
        """A disk with nothing on it."""
        path = os.path.join(self.path, name)
        with open(path, "wb") as file:
            file.truncate(512 << 20)
        return path

    def join(self, *parts, to):
        """Concatenate images, as the kernel allows for an initramfs."""
        target = os.path.join(self.path, to)
        with open(target, "wb") as out:
            for part in parts:
                with open(part, "rb") as file:
                    out.write(file.read())
                # a gzip member may end anywhere; the kernel wants the next one aligned
                out.write(b"\0" * (-out.tell() % 4))
        return target

    def pack(self, files, to):
        """An image with the given files: path in the image -> path here."""
        root = os.path.join(self.path, to + ".d")
        for inside, source in files.items():
            path = os.path.join(root, inside)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy(source, path)
        target = os.path.join(self.path, to)
        script = f". {HERE}/cache.sh; pack {root} {target}"
        if subprocess.run(["bash", "-c", script], check=False).returncode:
            raise CaseError("cannot pack an initramfs")
        return target


@contextlib.contextmanager
def turn():
    """At most SLOTS machines at a time, whoever else runs cases here: each takes a processor."""
    with contextlib.ExitStack() as stack:
        places = [
            stack.enter_context(open(os.path.join(LOGS, f"lock{n}"), "w", encoding="utf-8"))
            for n in range(SLOTS)
        ]
        while True:
            for place in places:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield
                    return
            time.sleep(0.1)


def boot(name, command, seconds, **environment):
    """Run a machine to its end; its console is what `-serial file:` wrote. Give the log's path."""
    os.makedirs(LOGS, exist_ok=True)
    log = os.path.join(LOGS, name + ".log")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(log)
    with turn(), open(log + ".qemu", "w", encoding="utf-8") as errors:
        errors.write(" ".join(command) + "\n")
        errors.flush()
        with process(
            command + ["-serial", "file:" + log],
            stdout=errors, stderr=errors, env={**os.environ, **environment},
        ) as machine:
            try:
                machine.wait(timeout=seconds * PATIENCE)
                late = False
            except subprocess.TimeoutExpired:
                late = True
    if not os.path.exists(log):
        raise CaseError("the emulator did not start", log + ".qemu")
    return Answer(log, late)


class Answer:
    """What the machines of one boot said, by machine: "L1", "L2", "QEMU" (L1's), "QMP"."""

    def __init__(self, log, late):
        self.log = log
        self.late = late
        self.lines = {"L1": [], "L2": [], "QEMU": [], "QMP": []}
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                line = line.rstrip("\r\n")
                found = re.match(r"(L2|QEMU|QMP)\| (.*)", line)
                who, text = found.groups() if found else ("L1", line)
                self.lines[who].append(text.rstrip("\r"))

    def said(self, who, word):
        """The answers that begin with a word, split into words, without it."""
        lead = f"E2E {word} "
        return [
            line[len(lead) :].split() for line in self.lines[who] if (line + " ").startswith(lead)
        ]

    def seen(self, who, regex):
        return [line for line in self.lines[who] if re.search(regex, line)]

    def ended(self):
        return bool(self.said("L1", "end")) and not self.late


class Checks:
    """Collects what is wrong with an answer."""

    def __init__(self, answer):
        self.answer = answer
        self.wrong = []
        if not answer.ended():
            self.wrong.append("the outer guest did not come to its end")

    def that(self, condition, otherwise):
        if not condition:
            self.wrong.append(otherwise)

    def equal(self, got, wanted, what):
        if got != wanted:
            self.wrong.append(f"{what}: {got}, expected {wanted}")

    def verdict(self):
        if self.wrong:
            raise CaseError(self.wrong, self.answer.log)
