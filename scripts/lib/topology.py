# SPDX-License-Identifier: BSD-2-Clause
"""A client, a gateway and backends, each in a network namespace of its own.

    client                   gw                      sw                  b1 .. bN
    eth0 198.51.100.2/24 --- cl0 198.51.100.1/24
                             be0 10.1.0.1/24 ------- gw [br0] p1 .. pN - eth0 10.1.0.(10+i)/24

The VIP 198.51.100.10 is on-link for the client and on no interface: who serves it must answer its
ARP. add_ipv6() gives all of it IPv6 as well: 2001:db8:1::/64 outside, with a VIP of its own, and
2001:db8:2::/64 inside, the last parts as above. Backends route everything through the gateway. Hosts that send compute their checksums
themselves and send no frame over the MTU, as on a wire.

A topology is known by its name (sl<pid>): its namespaces are <name>-gw and so on, and whatever
runs in them is ended with them. destroy() needs no memory of what was made, so it is right at
whichever point the making was interrupted.
"""

import contextlib
import ctypes
import glob
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

VIP = "198.51.100.10"
CLIENT = "198.51.100.2"
GATEWAY = "198.51.100.1"
INSIDE = "10.1.0.1"
VIP6, CLIENT6, GATEWAY6 = "2001:db8:1::10", "2001:db8:1::2", "2001:db8:1::1"
INSIDE6 = "2001:db8:2::1"
NETNS = "/run/netns"
BPFFS = "/sys/fs/bpf"
CLONE_NEWNET = 0x40000000

NGINX = """\
daemon off; worker_processes 1; user root; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off; default_type application/octet-stream;
    keepalive_requests {keepalive_requests}; keepalive_timeout 300s;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen {listen} backlog=4096; root {root};
        add_header X-Backend {name} always;
        location = / {{ return 200 "{name}\\n"; }}
    }}
}}
"""


def sh(*command, timeout=30):
    """Runs COMMAND; its output, or an exception that shows what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        said = done.stdout.strip()
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}: {said}")
    return done.stdout


def wait_for(what, condition, timeout=30.0, step=0.05):
    """Waits until condition() holds, and returns what it returned; an exception after TIMEOUT."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(step)
    return result


def stop(process, signum=signal.SIGTERM, patience=5.0):
    """Ends a process that we started, the hard way if it must be; its exit status."""
    if process.poll() is None:
        process.send_signal(signum)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class Namespace:
    """A host: a network namespace and what runs in it."""

    def __init__(self, name):
        self.name = name
        self.path = f"{NETNS}/{name}"

    # nsenter, since `ip netns exec` also gives a /sys of its own, without our bpffs.
    def command(self, *command):
        return ["nsenter", f"--net={self.path}", *map(str, command)]

    def run(self, *command, timeout=30):
        return sh(*self.command(*command), timeout=timeout)

    def popen(self, *command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(*command), start_new_session=True, **options)

    def sysctl(self, **values):
        def write():
            for name, value in values.items():
                with open(f"/proc/sys/{name.replace('__', '/')}", "w", encoding="ascii") as file:
                    file.write(str(value))

        self.call(write)

    def call(self, function):
        """What function() returns, called inside the namespace, in a thread that enters it."""
        result = []

        def inside():
            with open(self.path, encoding="ascii") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            try:
                result.append((function(), None))
            except OSError as error:
                result.append((None, error))

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        value, error = result[0]
        if error:
            raise error
        return value

    def socket(self, *arguments):
        """A socket of this namespace. It may be used from anywhere."""
        return self.call(lambda: socket.socket(*arguments))

    def counters(self):
        """The kernel's counters of this namespace, as {"Tcp.OutRsts": N, "Icmp6InMsgs": N, ...}."""

        def read():
            texts = []
            for name in ("snmp", "netstat", "snmp6"):
                with open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
                    texts.append(file.read())
            return texts

        snmp, netstat, snmp6 = self.call(read)
        lines, values = (snmp + netstat).splitlines(), {}
        for head, body in zip(lines[::2], lines[1::2]):
            protocol, names = head.split(":")
            for name, value in zip(names.split(), body.split(":")[1].split()):
                values[f"{protocol}.{name}"] = int(value)
        for line in snmp6.splitlines():
            name, value = line.split()
            values[name] = int(value)
        return values

    def mac(self, device):
        return self.run("ip", "-br", "link", "show", device).split()[2]


class Backend(Namespace):
    def __init__(self, topology, number):
        self.label = f"b{number}"
        self.address = f"10.1.0.{10 + number}"
        self.address6 = f"2001:db8:2::{10 + number}"
        self.number = number
        super().__init__(f"{topology.name}-{self.label}")


class Topology:
    """Use as a context manager; `queues` is the number of queues of the gateway's two ports, `gro`
    turns GRO on at the hosts, without which a veth takes nothing that XDP sends."""

    suffixes = itertools.chain([""], map("x{}".format, itertools.count(2)))

    def __init__(self, backends=3, queues=1, gro=True, keepalive_requests=100000):
        self.name = f"sl{os.getpid()}{next(self.suffixes)}"
        self.count = backends
        self.queues = queues
        self.gro = gro
        self.directory = tempfile.mkdtemp(prefix=f"{self.name}-")
        self.keepalive_requests = keepalive_requests
        self.client = Namespace(f"{self.name}-client")
        self.gateway = Namespace(f"{self.name}-gw")
        self.switch = Namespace(f"{self.name}-sw")
        self.backends = {}
        os.makedirs(self.www, exist_ok=True)

    @property
    def www(self):
        """What all backends serve over HTTP."""
        return f"{self.directory}/www"

    def __enter__(self):
        try:
            self.create()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_):
        self.destroy()

    def create(self):
        for host in (self.client, self.gateway, self.switch):
            self.add_host(host)
        self.link(self.gateway, "cl0", self.client, "eth0")
        self.link(self.gateway, "be0", self.switch, "gw")
        self.address(self.gateway, "cl0", f"{GATEWAY}/24")
        self.address(self.gateway, "be0", f"{INSIDE}/24")
        self.address(self.client, "eth0", f"{CLIENT}/24")
        self.gateway.sysctl(net__ipv4__ip_forward=1)
        # New connections by the thousand from one address: every port, and again at once.
        self.client.sysctl(net__ipv4__ip_local_port_range="1024 65535", net__ipv4__tcp_tw_reuse=1)
        self.switch.run("ip", "link", "add", "br0", "type", "bridge")
        self.switch.run("ip", "link", "set", "br0", "up")
        self.switch.run("ip", "link", "set", "gw", "master", "br0")
        for number in range(1, self.count + 1):
            self.add_backend(number)

    def add_host(self, host):
        sh("ip", "netns", "add", host.name)
        host.run("ip", "link", "set", "lo", "up")
        host.sysctl(net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1)

    def link(self, here, device, there, peer):
        # The gateway's ports alone have several: a packet that came in by a queue elsewhere on its
        # way would go on by the same, and replies would not spread.
        number = self.queues if here is self.gateway else 1
        queues = ("numtxqueues", number, "numrxqueues", number)
        sh("ip", "link", "add", device, "netns", here.name, *queues, "type", "veth",
           "peer", "name", peer, "netns", there.name, *queues)  # fmt: skip
        for host, end in ((here, device), (there, peer)):
            gro = "on" if self.gro and host is not here else "off"
            host.run("ethtool", "-K", end, "tx", "off", "tso", "off", "gso", "off", "gro", gro)
        # Up only now: an end takes frames redirected to it if its peer has GRO on by then.
        for host, end in ((here, device), (there, peer)):
            host.run("ip", "link", "set", end, "up")

    def address(self, host, device, address):
        host.run("ip", "addr", "add", address, "dev", device)

    def add_backend(self, number, http=True):
        backend = Backend(self, number)
        self.add_host(backend)
        self.link(self.switch, f"p{number}", backend, "eth0")
        self.switch.run("ip", "link", "set", f"p{number}", "master", "br0")
        self.address(backend, "eth0", f"{backend.address}/24")
        backend.run("ip", "route", "add", "default", "via", INSIDE)
        backend.sysctl(net__core__somaxconn=4096, net__ipv4__tcp_max_syn_backlog=4096)
        self.backends[backend.label] = backend
        if http:
            self.serve(backend)
        return backend

    def add_ipv6(self):
        self.gateway.sysctl(net__ipv6__conf__all__forwarding=1)
        ends = [(self.client, "eth0", CLIENT6), (self.gateway, "cl0", GATEWAY6),
                (self.gateway, "be0", INSIDE6)]  # fmt: skip
        ends += [(host, "eth0", host.address6) for host in self.backends.values()]
        for host, device, address in ends:
            # No second's wait for others that might claim the address.
            host.sysctl(**{f"net__ipv6__conf__{device}__accept_dad": 0,
                           f"net__ipv6__conf__{device}__accept_ra": 0,
                           f"net__ipv6__conf__{device}__disable_ipv6": 0})  # fmt: skip
            host.run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
        for host in self.backends.values():
            host.run("ip", "route", "add", "default", "via", INSIDE6)
            self.serve(host, "[::]:80 ipv6only=on", "6")
        # Link-local addresses may be used only once nobody else has claimed them.
        wait_for("the link-local addresses", lambda: not any(
            host.run("ip", "-6", "addr", "show", "tentative") for host, _, _ in ends))  # fmt: skip

    def serve(self, backend, listen="80", suffix=""):
        home = f"{self.directory}/{backend.label}{suffix}"
        os.makedirs(home, exist_ok=True)
        with open(f"{home}/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX.format(name=backend.label, root=self.www, listen=listen,
                                    keepalive_requests=self.keepalive_requests))  # fmt: skip
        with open(f"{home}/nginx.log", "w", encoding="ascii") as log:
            nginx = backend.popen("nginx", "-p", home, "-c", f"{home}/nginx.conf", "-e", "stderr",
                                  stdout=log, stderr=log)  # fmt: skip

        def listens():
            if nginx.poll() is not None:
                with open(f"{home}/nginx.log", encoding="ascii") as log:
                    raise RuntimeError(f"nginx in {backend.name}: {log.read()}")
            family = "-6" if suffix else "-4"
            return backend.run("ss", family, "-Hltn", "sport", "=", ":80")

        wait_for(f"nginx in {backend.name}", listens)

    def destroy(self):
        with uninterrupted():
            destroy(self.name)


def destroy(name):
    """Ends everything that runs in the topology of this name, and removes what it left."""
    names = os.listdir(NETNS) if os.path.isdir(NETNS) else []
    ours = [netns for netns in names if netns.startswith(f"{name}-")]
    for signum, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        end = time.monotonic() + patience
        pids = [pid for netns in ours for pid in inhabitants(netns)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
        while any(map(running, pids)) and time.monotonic() < end:
            time.sleep(0.02)
    for netns in ours:
        with contextlib.suppress(RuntimeError):
            sh("ip", "netns", "delete", netns)
    for pins in glob.glob(f"{BPFFS}/sluice-{name}-*"):
        remove_pins(pins)
    for directory in glob.glob(f"{tempfile.gettempdir()}/{name}-*"):
        shutil.rmtree(directory, ignore_errors=True)


def remove_pins(directory):
    """With the pins go the maps and the programs' links, when nobody holds them."""
    shutil.rmtree(directory, ignore_errors=True)


def inhabitants(netns):
    try:
        pids = sh("ip", "netns", "pids", netns).split()
    except RuntimeError:  # it was interrupted while being made
        return []
    return [int(pid) for pid in pids if int(pid) != os.getpid()]


def running(pid):
    with contextlib.suppress(OSError, ValueError):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@contextlib.contextmanager
def uninterrupted():
    """Lets a second ^C wait until what was begun is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {signum: signal.signal(signum, signal.SIG_IGN) for signum in signals}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def interruptible():
    """Makes SIGTERM and SIGHUP unwind as ^C does, and ^C work even where a shell turned it off."""

    def interrupt(_signum, _frame):
        raise KeyboardInterrupt

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
