"""A clean Debian 12 that is booted with systemd, for scripts/prove-*. Needs root, debootstrap and systemd-nspawn.

It has a network of its own with nothing but loopback, so that no port is taken and no packet leaves.
"""
import ctypes
import fcntl
import http.client
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "odoo-mfa-exporter"
PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,procps,rpm"
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
ENVIRONMENT = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER="]


class Failed(Exception):
    """A check that does not hold."""


def check(claim, holds, detail=""):
    """Prints what is checked, and fails with the detail where it does not hold."""
    print(("ok    " if holds else "FAIL  ") + claim, flush=True)
    if not holds:
        raise Failed(f"{claim}\n{detail}")


def eventually(claim, condition, within=60):
    """Checks what becomes true in a while: the condition is asked again and again, and an exception is a no."""
    deadline, last = time.monotonic() + within, None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                break
        except (OSError, http.client.HTTPException, subprocess.CalledProcessError, LookupError) as error:
            last = error
        time.sleep(0.1)
    check(claim, bool(last) and not isinstance(last, Exception), f"not within {within} s: {last}")


def debian(name="debian-12", packages=PACKAGES):
    """The directory of a Debian 12 that nothing was done to, made once."""
    root = CACHE / name
    if not root.exists():
        partial = CACHE / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        print("making a Debian 12", flush=True)
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", partial],
                       check=True, stdout=subprocess.DEVNULL)
        partial.rename(root)
    return root


class Machine:
    """Boots a copy of `debian()`; ends and removes it as a context manager."""

    def __enter__(self):
        if os.geteuid() != 0:
            raise Failed("a machine needs root: run it with sudo")
        for tool, package in (("debootstrap", "debootstrap"), ("systemd-nspawn", "systemd-container")):
            if not shutil.which(tool):
                raise Failed(f"{tool} is missing: apt-get install {package}")
        self.root = Path(tempfile.mkdtemp(prefix="odoo-mfa-exporter-"))
        try:
            subprocess.run(["cp", "-a", "--reflink=auto", f"{debian()}/.", self.root], check=True)
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _boot(self):
        self.log = open(self.root.with_suffix(".log"), "wb")
        # Without machined, and without a unit of this host: neither may be there.
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--boot", f"--directory={self.root}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        eventually("a Debian 12 boots", lambda: children.read_text().split(), 30)
        self.leader = children.read_text().split()[0]
        eventually("its systemd runs", lambda: self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"))
        # From here on this process speaks to the machine's loopback.
        namespace = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)

    def __exit__(self, *_):
        if hasattr(self, "nspawn"):
            # Its first process takes all others with it; systemd-nspawn's end would not.
            os.kill(int(self.leader), signal.SIGKILL) if hasattr(self, "leader") else self.nspawn.kill()
            self.nspawn.wait()
            self.log.close()
            self.root.with_suffix(".log").unlink()
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *command, check=True, input=None):
        """What a command inside prints; its errors count as output."""
        try:
            return subprocess.run(
                ["nsenter", f"--target={self.leader}", "--all", "--wdns=/", *ENVIRONMENT, *command],
                check=check, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        except subprocess.CalledProcessError as error:
            print(error.stdout, file=sys.stderr)
            raise

    def fails(self, *command):
        """What a command inside prints that must fail."""
        done = subprocess.run(["nsenter", f"--target={self.leader}", "--all", "--wdns=/", *ENVIRONMENT, *command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(f"{' '.join(command)} fails", done.returncode != 0, done.stdout)
        return done.stdout

    def show(self, unit, property):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={property}", unit).strip()

    def write(self, path, text, mode=0o644):
        """Writes a file inside."""
        path = self.root / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode)
        path.write_text(text)


def own_network():
    """From here on this process, and what it starts, have a network of their own with nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: run it with sudo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def scrape(path="/metrics", timeout=30):
    """GETs from port 9893, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", 9893, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status} {body}")
        return body
    finally:
        connection.close()


def values(text, family):
    """The samples of a family, by target; without one by None."""
    samples = {}
    for line in text.splitlines():
        name, _, rest = line.partition("{")
        if name == family:
            labels, _, value = rest.rpartition("} ")
            target = next((label.split('"')[1] for label in labels.split(",") if label.startswith("target=")), None)
            samples[target] = float(value)
        elif line.startswith(family + " "):
            samples[None] = float(line.split(" ")[1])
    return samples


class Scraping:
    """Scrapes without pause while the block runs, and then checks that each scrape was answered."""

    def __init__(self, what):
        self.what, self.answers, self.errors, self.slowest, self.stop = what, 0, [], 0.0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()
        eventually("scrapes are answered", lambda: self.answers)
        return self

    def _loop(self):
        while not self.stop.is_set():
            start = time.monotonic()
            try:
                scrape()
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - start)
            time.sleep(0.01)

    def __exit__(self, *failure):
        before = self.answers
        if not any(failure):
            eventually("and still are", lambda: self.answers > before)
        self.stop.set()
        self.thread.join()
        if not any(failure):
            check(f"{self.what} loses no scrape: {self.answers} answered, the slowest after {self.slowest:.2f} s",
                  not self.errors, f"{len(self.errors)} failed: {self.errors[:3]}")
