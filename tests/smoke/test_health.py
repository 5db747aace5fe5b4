# SPDX-License-Identifier: BSD-2-Clause
"""Health checks: who is down when and why, what that means for connections, what overrules it, and
what a restart finds. Forty servers, most of which misbehave, stand in one table with their causes.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import bad_servers
import pytest
from connection import Connection, one_request
from test_operators import requests, restart_control

import gateway
import topology as net

pytestmark = pytest.mark.shares_topology

PORT = 9000
INTERVAL_S, FALL = 0.3, 3
# A busy machine answers late: a timeout is for who never answers.
CHECK = {"type": "http", "interval": "300ms", "timeout": "5s", "fall": FALL, "rise": 2}


def checked(sluice, engine="xdp", **health):
    """An instance whose service web is checked, once its first checks have ended."""
    sluice.settings["dataplane"]["engine"] = engine
    sluice.services[0]["health"] = {**CHECK, **health}
    sluice.services = sluice.services[:1]
    sluice.write()
    sluice.start()
    wait_states(sluice, b1="ready", b2="ready", b3="ready")
    return sluice


def states(sluice, member="state"):
    """Of all backends. One that drains may be drained at any time."""
    rows = {name: row.get(member) for name, row in sluice.backends().items()}
    return {name: "draining" if value == "drained" else value for name, value in rows.items()}


def wait_states(sluice, timeout=60, **wanted):
    def reached():
        now = states(sluice)
        return now if now == wanted else None

    try:
        net.wait_for(f"{wanted}", reached, timeout, step=0.02)
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {sluice.backends()}") from None


def problems(sluice):
    return [line for line in sluice.json("status")["problems"] if line.startswith("service web")]


def set_health(sluice, **health):
    sluice.ctl("service", "set", "web", "health=" + json.dumps({**CHECK, **health}))


@contextlib.contextmanager
def drops(host, protocol, port):
    """HOST takes no packets for a port."""
    host.run("nft", "add table ip deaf; add chain ip deaf in { type filter hook input priority 0; }; "
             f"add rule ip deaf in {protocol} dport {port} drop")  # fmt: skip
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "ip", "deaf")


class Watch:
    """Asks over one connection, so that an answer is milliseconds old."""

    def __init__(self, sluice):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{sluice.run_dir}/read.sock")
        self.file = self.socket.makefile("rw")

    def state(self, name):
        self.file.write('{"jsonrpc": "2.0", "id": 1, "method": "backend.list"}\n')
        self.file.flush()
        rows = json.loads(self.file.readline())["result"]["backends"]
        return next(row for row in rows if row["name"] == name)

    def when(self, name, state, timeout=60.0):
        """Waits for the state; the time at which it was seen."""
        net.wait_for(f"{name} to be {state}", lambda: self.state(name)["state"] == state, timeout,
                     step=0.002)  # fmt: skip
        return time.monotonic()

    def close(self):
        self.socket.close()


@pytest.mark.parametrize("engine", ["xdp", "dpdk"])
def test_killed(topology, idle, engine):
    """A backend that is killed is out within fall x interval + 100 ms, others get all connections,
    and it is back once it answers again."""
    host = topology.backends["b2"]
    sluice = checked(idle, engine)
    watch = Watch(sluice)

    def kill():
        """Whether it was out in time."""
        began = time.monotonic()
        for pid in net.inhabitants(host.name):
            os.kill(pid, signal.SIGKILL)
        took = watch.when("b2", "down") - began
        row = watch.state("b2")
        assert row["share"] == 0 and row["health_cause"] == "connect refused"
        assert row["held_by"] == ["health"] and row["source"] == "file"
        assert requests(topology) == {"b1", "b3"}
        topology.serve(host)
        watch.when("b2", "ready")
        return took < FALL * INTERVAL_S + 0.1

    # Once will do: on a busy machine whoever measures is late too.
    net.wait_for("it to be out in time", kill, 120)
    watch.close()
    said = sluice.said(sluice.control)
    assert f"backend b2 ({host.address}:80) is down: connect refused ({FALL} in a row)" in said
    assert re.search(r"health by checks: service web: backend b2: ready -> held back by health; "
                     r"generation \d+", said)  # fmt: skip
    assert "b2" in requests(topology, count=60)


def test_overruled(topology, idle):
    """A false alarm: connections are kept, new ones get nobody; an operator overrules it, which a
    restart keeps, as it keeps the states; drain and health don't overwrite each other."""
    idle.services[0]["unavailable"] = "reject"
    sluice = checked(idle)
    with Connection(topology.client) as kept:
        kept.get()
        set_health(sluice, status=404)
        wait_states(sluice, b1="down", b2="down", b3="down")
        kept.get()
        with pytest.raises(ConnectionRefusedError):
            one_request(topology.client)
        assert problems(sluice) == [
            "service web: no backend is healthy (b1: HTTP 200; b2: HTTP 200; b3: HTTP 200)"
        ]
        assert "down" in sluice.ctl("backend", "list")

        sluice.ctl("backend", "drain", "web", "b2")
        sluice.ctl("backend", "ready", "web", "b1")  # says nothing to health
        row = sluice.backends()
        assert row["b1"]["state"] == "down" and row["b2"]["held_by"] == ["live", "health"]
        sluice.ctl("backend", "ready", "web", "b1", "--force")
        assert requests(topology, count=5) == {"b1"}
        assert sluice.backends()["b1"]["health_overruled_by"] == "live"
        assert "down (live)" in sluice.ctl("backend", "list")
        forced = "service web: forced to be ready though health says otherwise (b1: HTTP 200)"
        assert forced in problems(sluice)

        def saved():  # not at once where the disk is slow
            with open(f"{sluice.directory}/state/health.json", encoding="utf-8") as file:
                return file.read().count('"down"') == 3

        net.wait_for("the states to be saved", saved)
        sluice.kill(sluice.control)
        sluice.start_control()
        now = sluice.backends()
        assert {name: row["health"] for name, row in now.items()} == {
            "b1": "down", "b2": "down", "b3": "down"}  # fmt: skip
        assert now["b1"]["state"] == "ready" and now["b1"]["health_overruled_by"] == "live"
        assert now["b3"]["state"] == "down" and now["b3"]["health_cause"] == "HTTP 200"
        assert requests(topology, count=5) == {"b1"}
        kept.get()

        sluice.ctl("backend", "ready", "web", "b1")
        wait_states(sluice, b1="down", b2="draining", b3="down")
        set_health(sluice)
        net.wait_for("all to be up", lambda: set(states(sluice, "health").values()) == {"up"}, 60)
        wait_states(sluice, b1="ready", b2="draining", b3="ready")
        assert sluice.backends()["b2"]["held_by"] == ["live"]
        assert "b2" not in requests(topology)
        kept.get()


def test_panic(idle):
    """While fewer than half are up, all are used."""
    sluice = checked(idle, panic=50, panic_time="100ms")
    set_health(sluice, body="b1", panic=50, panic_time="100ms")
    net.wait_for("panic", lambda: states(sluice, "health_overruled_by") == {
        "b1": None, "b2": "panic", "b3": "panic"}, 60)  # fmt: skip
    wait_states(sluice, b1="ready", b2="ready", b3="ready")
    (line,) = problems(sluice)
    assert line.startswith("service web: panic: too few backends are up, so that all are used (b2")
    restart_control(sluice)
    assert set(states(sluice).values()) == {"ready"}
    set_health(sluice, body="b1")
    wait_states(sluice, b1="ready", b2="down", b3="down")
    set_health(sluice, body="b")
    wait_states(sluice, b1="ready", b2="ready", b3="ready")


def test_slow_start(idle):
    """The weights of backends that come up grow by eighths, over a restart of control too: the
    share of the one that stayed falls step by step to what the weights say."""
    sluice = checked(idle)
    set_health(sluice, body="b1", slow_start="5s")
    wait_states(sluice, b1="ready", b2="down", b3="down")
    set_health(sluice, slow_start="5s")
    wait_states(sluice, b1="ready", b2="ready", b3="ready")
    began, steps, shares = time.monotonic(), [], []
    while "slow_start" in (rows := sluice.backends())["b2"] or "slow_start" in rows["b3"]:
        step = [rows[name].get("slow_start") for name in ("b2", "b3")]
        if step not in steps:
            steps.append(step)
            shares.append(rows["b1"]["share"])
            if len(steps) == 2:
                restart_control(sluice)
        assert time.monotonic() - began < 60
        time.sleep(0.1)
    assert len(steps) >= 3 and shares == sorted(shares, reverse=True), (steps, shares)
    assert shares[-1] > rows["b1"]["share"] and abs(rows["b1"]["share"] - 100 * 10 / 60) < 1


def test_stopped(idle):
    """What comes of control's own sleep isn't counted: with fall = 1 nobody goes down."""
    sluice = checked(idle, fall=1, timeout="1s")
    for _ in range(2):
        sluice.control.send_signal(signal.SIGSTOP)
        time.sleep(1.5)  # longer than a check may take
        sluice.control.send_signal(signal.SIGCONT)
        ended = sluice.json("status")["health"]["ended"]
        net.wait_for("checks", lambda: sluice.json("status")["health"]["ended"] > ended + 3, 60)
    assert "is down" not in sluice.said(sluice.control)
    assert states(sluice) == {"b1": "ready", "b2": "ready", "b3": "ready"}


def test_live(topology, idle):
    """Backends and checks that come and go. One that is added gets nothing before its first check,
    one that serves goes on when checks begin, and an unchanged reload changes nothing."""
    sluice = checked(idle)
    sluice.ctl("backend", "add", "web", "10.1.0.99:80", "--name", "b4")
    wait_states(sluice, b1="ready", b2="ready", b3="ready", b4="down")
    said = sluice.said(sluice.control)
    assert "backend b4 added with weight 1, to be checked first" in said
    assert "backend b4: held back by health -> ready" not in said
    assert sluice.json("status")["health"]["checks"] == 4
    sluice.ctl("backend", "remove", "web", "b4")
    net.wait_for("three checks", lambda: sluice.json("status")["health"]["checks"] == 3)
    sluice.ctl("service", "set", "web", "health=")
    assert sluice.backends()["b1"]["health"] == "up"  # the file's own
    del sluice.services[0]["health"]
    sluice.write()
    sluice.ctl("reload")
    net.wait_for("no checks", lambda: "health" not in sluice.json("status"))
    generation = sluice.generation()
    set_health(sluice, port=81)  # nobody listens there
    assert set(states(sluice).values()) == {"ready"}
    wait_states(sluice, b1="down", b2="down", b3="down")
    sluice.ctl("service", "set", "web", "health=")
    wait_states(sluice, b1="ready", b2="ready", b3="ready")
    assert sluice.generation() > generation
    assert requests(topology) == {"b1", "b2", "b3"}


def test_udp(topology, idle, echo):
    """A UDP backend that is down loses all its flows at once, however busy, also over a restart."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.services = idle.services[1:]
    health = {"type": "udp", "payload": "ping", "interval": "300ms", "timeout": "1s", "fall": 2}
    idle.services[0]["health"] = health
    idle.write()
    idle.start()

    def now(member="state"):
        return {name: row.get(member) for name, row in idle.backends("echo").items()}

    net.wait_for("all", lambda: set(now().values()) == {"ready"}, 60)
    with topology.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((net.VIP, 7))

        def ask(attempts=1):
            """The first datagrams may fall to a neighbour that isn't resolved yet."""
            client.send(b"hello")
            try:
                return client.recv(100).split()[0].decode()
            except socket.timeout:
                if attempts == 1:
                    raise
                return ask(attempts - 1)

        first = ask(attempts=4)
        with drops(topology.backends[first], "udp", 7):
            net.wait_for("it to be down", lambda: now()[first] == "down", 60, step=0.02)
            second = ask()
            assert second != first
            restart_control(idle)
            assert now()[first] == "down" and ask() == second
            assert len(now()) == 3
        net.wait_for("all again", lambda: set(now().values()) == {"ready"}, 60)
        assert ask()


def certificate(directory, name, issuer=None, subject="ok.example", days=2):
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
           f"{directory}/{name}.key", "-subj", f"/CN={subject}", "-addext",
           f"subjectAltName=DNS:{subject}")  # fmt: skip
    if not issuer:
        net.sh("openssl", "req", "-x509", *key, "-out", f"{directory}/{name}.pem", "-days", days)
        return
    net.sh("openssl", "req", *key, "-out", f"{directory}/{name}.csr")
    net.sh("openssl", "x509", "-req", "-in", f"{directory}/{name}.csr", "-days", days,
           "-CA", f"{directory}/{issuer}.pem", "-CAkey", f"{directory}/{issuer}.key",
           "-copy_extensions", "copy", "-out", f"{directory}/{name}.pem")  # fmt: skip


def shell(script):
    return {"type": "exec", "command": ["/bin/sh", "-c", script]}


HTTP, BODY = {"type": "http"}, {"type": "http", "body": "ok"}
HTTPS = {"type": "https", "tls_name": "ok.example", "ca": "CA"}
DNS = {"type": "dns", "query": "a.example"}
PING = {"type": "udp", "payload": "ping", "expect": "pong"}
LATE = "timeout after 1 s: "
# A name, the server that is checked, how, and the cause: None where it passes.
TABLE = [
    ("tcp", "good", {"type": "tcp"}, None),
    ("http", "good", BODY, None),
    ("chunked", "chunked", BODY, None),
    ("10 MB", "large", HTTP, None),
    ("https", "tls", HTTPS, None),
    ("unverified", "expired", {"type": "https", "verify": False}, None),
    ("dns", "nxdomain", {**DNS, "rcode": "NXDOMAIN"}, None),
    ("udp", "pong", {**PING, "expect": "hex:6f6e"}, None),
    ("icmp", "good", {"type": "icmp"}, None),
    ("exec", "good", shell('[ "$SLUICE_ADDRESS:$SLUICE_PORT/$SLUICE_SERVICE" = '
                           '"10.1.0.11:9000/exec" ] && [ "$(id -un)" = nobody ]'), None),
    ("much said", "good", shell("head -c 300000 /dev/zero"), None),
    ("source", "good", {"type": "tcp", "source": net.INSIDE, "fwmark": 5}, None),
    ("tcp6", "nginx6", {"type": "tcp"}, None),
    ("http6", "nginx6", HTTP, None),
    ("icmp6", "nginx6", {"type": "icmp"}, None),
    # What can't be checked here stays what it is.
    ("foreign source", "good", {"type": "tcp", "source": "10.1.0.200"},
     "not checked: source: Cannot assign requested address"),
    ("no certificates", "tls", {"type": "https", "ca": "/etc/hostname"},
     "not checked: /etc/hostname can't be read as certificates"),
    ("closed", None, {"type": "tcp"}, "connect refused"),
    ("dropped", "dropped", {"type": "tcp"}, LATE + "no connection"),
    ("silent", "silent", HTTP, LATE + "no answer"),
    ("slow", "slow", HTTP, LATE + "the answer isn't complete"),
    ("dripping", "dripping", HTTP, LATE + "the answer isn't complete"),
    ("endless header", "endless header", HTTP, "the header is longer than 8 KB"),
    ("endless line", "endless line", HTTP, "the status line is longer than 8 KB"),
    ("endless body", "endless body", BODY,
     "the body doesn't contain \"ok\" within the first 8 KB"),
    ("10 MB without", "large", BODY, "the body doesn't contain \"ok\" within the first 8 KB"),
    ("interim", "interim", HTTP, "there are only interim answers|the status line is longer .*|"
                                 "the header is longer .*"),
    ("ftp", "ftp", HTTP, "it doesn't answer with HTTP/1"),
    ("no number", "no number", HTTP, "the status line is broken"),
    ("no field", "no field", HTTP, "a header field is broken"),
    ("bad length", "bad length", HTTP, "its Content-Length is broken"),
    ("bad chunks", "bad chunks", HTTP, "the chunks of the body are broken"),
    ("hangs up", "hangs up", HTTP, "closed without an answer"),
    ("half header", "half header", HTTP, "closed within the header"),
    ("half body", "half body", HTTP, "closed after 2 of 9 bytes of the body"),
    ("half chunks", "half chunks", HTTP, "closed within the body"),
    ("resets", "resets", HTTP, "connection reset"),
    ("503", "503", HTTP, "HTTP 503"),
    ("302", "302", {**HTTP, "status": "200-299,404"}, "HTTP 302"),
    ("wrong body", "good", {**HTTP, "body": "okay"}, "the body doesn't contain \"okay\""),
    ("tls to http", "tls", HTTP, "closed without an answer"),
    ("alert", "alert", HTTP, "it answers with TLS"),
    ("http to tls", "good", HTTPS, LATE + "no TLS handshake"),
    ("ftp to tls", "ftp", HTTPS, LATE + "no TLS handshake"),
    ("nginx to tls", "nginx", HTTPS, "TLS: it answers without TLS"),
    ("reset to tls", "resets", HTTPS, "connection reset"),
    ("expired", "expired", HTTPS, "TLS: certificate has expired"),
    ("self-signed", "self-signed", HTTPS, "TLS: self-signed certificate"),
    ("wrong name", "tls", {**HTTPS, "tls_name": "other.example"}, "TLS: hostname mismatch"),
    ("wrong address", "tls", {"type": "https", "ca": "CA"}, "TLS: IP address mismatch"),
    ("servfail", "servfail", DNS, "DNS SERVFAIL"),
    ("no dns", "pong", DNS, "the answer isn't DNS"),
    ("dns echo", "echo", DNS, "the answer isn't DNS"),
    ("other id", "other id", DNS, LATE + "no answer"),
    ("udp wrong", "echo", PING, "the answer doesn't contain what is expected"),
    ("udp mute", "mute", PING, LATE + "no answer"),
    ("udp closed", None, PING, "port unreachable"),
    ("no host", "good", {"type": "icmp", "address": "10.1.0.98"}, LATE + "no answer|no route .*"),
    ("hangs", "good", shell("sleep 3621"), LATE + "it still runs"),
    ("deaf", "good", shell("trap '' TERM; while :; do sleep 3622; done"),
     LATE + "it still runs"),
    ("forks", "good", shell("sleep 3623 & exit 1"), "exit 1"),
    ("says", "good", shell("echo disk full; echo more; exit 2"), "exit 2: disk full"),
    ("killed", "good", shell("kill -9 $$"), "killed by signal 9"),
    ("endless", "good", shell("yes"), LATE + "it still runs"),
]  # fmt: skip


def memory_kb(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


def service_of(index, row, host, directory):
    """The service that has one row of the table, with a backend of its own."""
    name, server, health, _ = row
    port = {None: 8999, "dropped": 8998, "nginx": 80, "nginx6": 80}.get(server) or bad_servers.port_of(
        server, PORT
    )
    health = {"interval": "2s", "timeout": "1s", "start": "up", "fall": 1, **health}
    if server == "nginx6":
        health["address"] = host.address6
    if health.get("ca") == "CA":
        health["ca"] = f"{directory}/ca.pem"
    backends = [{"name": "b1", "address": host.address, "port": port}]
    return gateway.service(name.replace(" ", "-"), backends, port=20000 + index, table_size=256,
                           health=health)  # fmt: skip


@pytest.fixture
def servers(topology):
    """The servers of the table, in b1; the directory of their certificates."""
    host, directory = topology.backends["b1"], f"{topology.directory}/certificates"
    os.makedirs(directory, exist_ok=True)
    certificate(directory, "ca")
    certificate(directory, "good", "ca")
    certificate(directory, "expired", "ca", days=-1)
    certificate(directory, "self")
    topology.add_ipv6()
    process = host.popen(sys.executable, bad_servers.__file__, PORT, directory,
                         stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    with drops(host, "tcp", 8998):
        yield directory
    net.stop(process)


def test_servers(topology, idle, servers):
    """The cause of each row, while no check begins late, and nothing is left of programs."""
    idle.settings["dataplane"]["engine"] = "xdp"
    idle.settings["dataplane"]["capacity"]["services"] = 128
    idle.services = [service_of(i, row, topology.backends["b1"], servers)
                     for i, row in enumerate(TABLE)]  # fmt: skip
    idle.write()
    idle.start()
    wanted = {row[0].replace(" ", "-"): row[3] for row in TABLE}
    assert len([cause for cause in wanted.values() if cause]) >= 30

    def wrong():
        rows = idle.json("backend", "list")["backends"]
        assert len(rows) == len(TABLE)
        causes = {row["service"]: (row["health"], row.get("health_cause")) for row in rows}
        return {
            name: causes[name]
            for name, cause in wanted.items()
            if causes[name][0] != ("down" if cause and "not checked" not in cause else "up")
            or not re.fullmatch(cause or "None", str(causes[name][1]))
        }

    try:
        net.wait_for("all causes", lambda: not wrong(), 40, step=0.3)
    except TimeoutError:
        assert wrong() == {}
    # What changes within a moment is one generation.
    applied = re.findall(r"health by checks: .*; generation (\d+)", idle.said(idle.control))
    assert len(applied) > len(set(applied))
    before = memory_kb(idle.control)
    ended = idle.json("status")["health"]["ended"]

    def on_time():
        health = idle.json("status")["health"]
        return health["ended"] > ended + 2 * len(TABLE) and health["worst_late_ms"] < 50

    net.wait_for("checks that begin on time", on_time, 60)
    net.wait_for("the same causes", lambda: not wrong(), 40, step=0.3)
    assert memory_kb(idle.control) - before < 8192
    idle.control.send_signal(signal.SIGTERM)
    idle.control.wait()
    left = subprocess.run(["pgrep", "-fa", "sleep 362[123]"], stdout=subprocess.PIPE, check=False)
    assert left.stdout == b""
