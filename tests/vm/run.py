# SPDX-License-Identifier: BSD-2-Clause
"""Boots Debian's kernel with this build in an emulated machine and counts what it reports.

    run.py [PART...]        parts: kernel xdp neighbours handover bound pktgen

The machine is emulated (TCG), not virtualised: it needs no /dev/kvm and runs anywhere, slowly. It
has no network but two cables, whose far ends are in this process (wire.py). It ends with us,
however we end.
"""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import image
import wire

os.environ["PATH"] += ":/usr/sbin:/sbin"  # where users may lack them
PARTS = ("kernel", "xdp", "neighbours", "handover", "bound", "pktgen")
SECONDS = int(os.environ.get("SLUICE_VM_SECONDS", "600"))  # all of it, at most
BUILD = os.environ.get("SLUICE_BUILD") or os.path.join(image.HERE, "../../build")


class Machine:
    """Use as a context manager. lines() are what it says on its serial line."""

    def __init__(self, built, parts):
        self.cables = {"client": wire.Cable(), "server": wire.Cable()}
        self.queue = queue.Queue()
        append = ("console=ttyS0 quiet loglevel=1 panic=-1 intel_iommu=on hugepages=256 "
                  f"sluice.parts={','.join(parts)}")  # fmt: skip
        command = [
            *("setpriv", "--pdeathsig", "KILL"),
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"),
            *("-machine", "q35,kernel-irqchip=split"),
            *("-device", "intel-iommu,intremap=on,caching-mode=on"),
            *("-kernel", built.vmlinuz, "-initrd", built.initramfs, "-append", append),
            *("-serial", "stdio", "-no-reboot"),
            *self.nic("client", "virtio-net-pci,disable-legacy=on,iommu_platform=on,addr=0x10",
                      wire.CLIENT_NIC),
            *self.nic("server", "e1000e,addr=0x11", wire.SERVER_NIC),
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, pass_fds=[c.there.fileno() for c in self.cables.values()],
        )  # fmt: skip
        threading.Thread(target=self.listen, daemon=True).start()

    def nic(self, name, device, mac):
        return ("-netdev", f"dgram,id={name},local.type=fd,"
                f"local.str={self.cables[name].there.fileno()}",
                "-device", f"{device},netdev={name},mac={mac},romfile=")  # fmt: skip

    def listen(self):
        for line in self.process.stdout:
            self.queue.put(line.decode(errors="replace").rstrip())
        self.queue.put(None)

    def lines(self, deadline):
        while True:
            try:
                line = self.queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"it took more than {SECONDS} s") from None
            if line is None:
                return
            yield line

    def answer(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for cable in self.cables.values():
            cable.close()


class Results:
    def __init__(self):
        self.passed = self.failed = 0
        self.said = []  # since the last check

    def add(self, name, good, detail):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            for line in self.said[-60:]:
                print(f"      {line}")
        print(f"  {'ok' if good else 'FAILED':6} {name}" + (f": {detail}" if detail else ""),
              flush=True)  # fmt: skip
        self.said = []


def follow(machine, results, deadline):
    """Reads to the machine's end. Whether it came to its own."""
    for line in machine.lines(deadline):
        word, _, rest = line.partition(" ")
        name, _, detail = rest.partition("|")
        if word in ("@ok", "@fail"):
            results.add(name, word == "@ok", detail)
        elif word == "@wire":
            for name, good, detail in wire.run(**machine.cables):
                results.add(f"bound: {name}", good, detail)
            machine.answer()
        elif word == "@end":
            return True
        elif line:
            results.said.append(line)
            if os.environ.get("SLUICE_VM_VERBOSE"):
                print(f"      {line}", flush=True)
    return False


def main():
    parts = sys.argv[1:] or PARTS
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"run.py: no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, interrupt)
    results, deadline = Results(), time.monotonic() + SECONDS
    directory = tempfile.mkdtemp(prefix="sluice-vm-")
    try:
        built = image.Image(directory, os.path.abspath(BUILD))
        with Machine(built, parts) as machine:
            if not follow(machine, results, deadline):
                results.add("the machine comes to its end", False, "it stopped before")
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        results.add("the machine", False, str(error))
    finally:
        for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{results.passed} passed, {results.failed} failed, 0 skipped")
    return 1 if results.failed else 0


def interrupt(_signum, _frame):
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
