# SPDX-License-Identifier: BSD-2-Clause
"""What the virtual machine boots: Debian's kernel, unpacked and not installed, and an initramfs of
busybox, the programs and tests of a build, and all shared libraries that these name."""

import glob
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL = "linux-image-cloud-amd64"  # it depends on the one of today
MODULES = ("veth", "vfio-pci", "vfio_iommu_type1", "pktgen")
TOOLS = ("ip", "ethtool", "curl")  # where busybox has too little of its own
DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_af_xdp", "net_virtio", "net_e1000")
PROGRAMS = ("sluice-control", "sluice-dataplane", "sluicectl")
TESTS = ("test_budget", "test_store", "test_parity")


def sh(*command, **options):
    """COMMAND's output, or an exception that shows what it said."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          timeout=300, **options)  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}: {said}")
    return done.stdout


def newest():
    """The name of the package that KERNEL stands for; None if apt's lists are missing."""
    match = re.search(r"Depends: (linux-image-[0-9]\S+)", sh("apt-cache", "depends", KERNEL))
    return match and match[1]


def download(cache):
    """The kernel's package in CACHE, fetched unless it is there already."""
    os.makedirs(cache, exist_ok=True)
    name = newest()
    if not (found := glob.glob(f"{cache}/{name}_*.deb")):
        sh("apt-get", "-qq", "update")
        name = newest()
        sh("apt-get", "-qq", "download", name, cwd=cache)
        found = glob.glob(f"{cache}/{name}_*.deb")
    return found[0]


class Image:
    """vmlinuz and initramfs in DIRECTORY, which is the caller's to remove."""

    def __init__(self, directory, build):
        self.directory, self.build = directory, build
        self.root = f"{directory}/root"
        self.initramfs = f"{directory}/initramfs"
        package = download(f"{build}/vm")
        sh("dpkg", "-x", package, f"{directory}/kernel")
        self.vmlinuz = glob.glob(f"{directory}/kernel/boot/vmlinuz-*")[0]
        self.release = os.path.basename(self.vmlinuz).removeprefix("vmlinuz-")
        self.fill()
        self.pack()

    def fill(self):
        for name in ("bin", "sbin", "sluice", "modules"):
            os.makedirs(f"{self.root}/{name}")
        shutil.copy("/bin/busybox", f"{self.root}/bin/busybox")
        shutil.copy(f"{HERE}/init", f"{self.root}/init")
        for name in glob.glob(f"{HERE}/*.sh") + glob.glob(f"{HERE}/*.conf"):
            shutil.copy(name, f"{self.root}/sluice")
        os.makedirs(f"{self.root}/sluice/pktgen", exist_ok=True)
        for name in ("kernel.sh", "traffic.conf"):
            shutil.copy(f"{HERE}/../../bench/pktgen/{name}", f"{self.root}/sluice/pktgen")
        sh("clang", "-target", "bpf", "-O2", "-g", "-c", f"{HERE}/pass.bpf.c",
           "-o", f"{self.root}/sluice/pass.bpf.o")  # fmt: skip
        binaries = [shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in TOOLS]
        binaries += [f"{self.build}/{name}" for name in PROGRAMS]
        for name in binaries:
            shutil.copy(name, f"{self.root}/sbin")
        for name in TESTS:
            binaries.append(f"{self.build}/tests/{name}")
            shutil.copy(binaries[-1], f"{self.root}/sluice")
        self.add_libraries(binaries + self.add_drivers())
        self.add_modules()

    def add_drivers(self):
        """DPDK loads all that lies in its directory: only what is needed goes there."""
        found = []
        for name in DRIVERS:
            at = glob.glob(f"/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_{name}.so.*.*")
            if not at:
                raise RuntimeError(f"DPDK's {name} isn't installed")
            found.append(at[0])
            self.add_file(at[0])
        return found

    def add_libraries(self, binaries):
        for library in set(re.findall(r"(/\S+) \(0x", sh("ldd", *binaries))):
            self.add_file(library)

    def add_file(self, path):
        """At its place, through the same link: a library that is found by two names is one."""
        real = os.path.realpath(path)
        for name in (real, path):
            os.makedirs(self.root + os.path.dirname(name), exist_ok=True)
        if not os.path.exists(self.root + real):
            shutil.copy(real, self.root + real)
        if path != real and not os.path.lexists(self.root + path):
            os.symlink(real, self.root + path)

    def add_modules(self):
        kernel = f"{self.directory}/kernel"
        order = []
        sh("depmod", "-b", kernel, self.release)
        for name in MODULES:
            said = sh("modprobe", "-d", kernel, "-S", self.release, "--show-depends", name)
            for path in re.findall(r"^insmod (\S+)", said, re.MULTILINE):
                if os.path.basename(path) not in order:
                    order.append(os.path.basename(path))
                    shutil.copy(path, f"{self.root}/modules")
        with open(f"{self.root}/modules/order", "w", encoding="ascii") as file:
            file.writelines(f"{name}\n" for name in order)

    def pack(self):
        with open(self.initramfs, "wb") as file:
            names = subprocess.run(["find", "."], cwd=self.root, check=True, timeout=60,
                                   stdout=subprocess.PIPE)  # fmt: skip
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=self.root, check=True,
                           timeout=60, input=names.stdout, stdout=file)  # fmt: skip
