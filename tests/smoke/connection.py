# SPDX-License-Identifier: BSD-2-Clause
"""A client's connection to a VIP that a test holds in its hands."""

import contextlib
import socket

import topology as net


class Connection:
    """One TCP connection, on which requests may follow each other."""

    def __init__(self, client, port=80, timeout=10.0, vip=net.VIP, source=None):
        family = socket.AF_INET6 if ":" in vip else socket.AF_INET
        self.socket = client.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect((vip, port))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def get(self):
        """Asks for / and returns the name of the backend that answered."""
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"\n"):
            piece = self.socket.recv(4096)
            if not piece:
                raise ConnectionError("closed before the answer was complete")
            answer += piece
        head, body = answer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 "), head
        return body.decode().strip()


@contextlib.contextmanager
def connections(client, count, **how):
    """COUNT open connections, each with the name of its backend."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(Connection(client, **how)) for _ in range(count)]
        yield [(connection, connection.get()) for connection in opened]


def one_request(client, **how):
    """A request on a connection of its own; the backend that answered."""
    with Connection(client, **how) as connection:
        return connection.get()
