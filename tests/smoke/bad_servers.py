# SPDX-License-Identifier: BSD-2-Clause
"""Servers that misbehave, each in its own way on its own port: python3 bad_servers.py PORT
CERTIFICATES. Prints "ready" when all listen. TCP is SERVERS[i] on PORT + i, UDP is DATAGRAMS[i]."""

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
import sys

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def says(answer, closes=True):
    async def serve(_reader, writer):
        writer.write(answer)
        await writer.drain()
        if not closes:
            await asyncio.sleep(3600)

    return serve


def repeats(head, piece, count=None, pause=0.0):
    """HEAD, then PIECE again and again."""

    async def serve(_reader, writer):
        writer.write(head)
        for _ in range(count) if count else itertools.count():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return serve


async def drips(_reader, writer):
    for byte in OK + b"Content-Length: 0\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def resets(_reader, writer):
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


SERVERS = {
    "good": says(OK + b"Content-Length: 2\r\n\r\nok", closes=False),
    "chunked": says(CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", closes=False),
    "large": repeats(OK + b"Content-Length: 10485760\r\n\r\n", b"x" * 65536, 160),
    "silent": says(b"", closes=False),
    "slow": drips,
    "dripping": repeats(OK, b"A: b\r\n", pause=0.1),
    "endless header": repeats(OK, b"X: " + b"x" * 61 + b"\r\n"),
    "endless line": repeats(b"HTTP/1.1 200 ", b"x" * 64),
    "endless body": repeats(OK + b"\r\n", b"x" * 4096),
    "interim": repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "ftp": says(b"220 ftp.example.org ready\r\n", closes=False),
    "no number": says(b"HTTP/1.1 banana\r\n\r\n", closes=False),
    "no field": says(OK + b"what is this\r\n\r\n", closes=False),
    "bad length": says(OK + b"Content-Length: many\r\n\r\n", closes=False),
    "bad chunks": says(CHUNKED + b"zz\r\n", closes=False),
    "hangs up": says(b""),
    "half header": says(OK + b"Server: x"),
    "half body": says(OK + b"Content-Length: 9\r\n\r\nok"),
    "half chunks": says(CHUNKED + b"5\r\nok"),
    "resets": resets,
    "503": says(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", closes=False),
    "302": says(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", closes=False),
    "alert": says(b"\x15\x03\x01\x00\x02\x02\x28"),
}
TLS = {"tls": "good", "expired": "expired", "self-signed": "self"}


def servfail(query):
    return query[:2] + b"\x81\x82" + query[4:]


DATAGRAMS = {
    "pong": lambda query: b"pong",
    "servfail": servfail,
    "nxdomain": lambda query: query[:2] + b"\x81\x83" + query[4:],
    "echo": lambda query: query,
    "other id": lambda query: bytes([query[0] ^ 1]) + servfail(query)[1:],
    "mute": lambda query: None,
}


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer, self.transport = answer, None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        answer = self.answer(data)
        if answer is not None:
            self.transport.sendto(answer, addr)


def handler(serve):
    """Reads the request, then serves; whoever hangs up is let go."""

    async def handle(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            if serve is not resets:
                await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        with contextlib.suppress(OSError, ssl.SSLError):
            writer.close()

    return handle


async def main(port, certificates):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    for i, serve in enumerate(SERVERS.values()):
        await asyncio.start_server(handler(serve), "0.0.0.0", port + i, backlog=64)
    for i, name in enumerate(TLS.values()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificates}/{name}.pem", f"{certificates}/{name}.key")
        await asyncio.start_server(handler(SERVERS["good"]), "0.0.0.0", port + len(SERVERS) + i,
                                   ssl=context)  # fmt: skip
    for i, answer in enumerate(DATAGRAMS.values()):
        await loop.create_datagram_endpoint(lambda answer=answer: Datagrams(answer),
                                            local_addr=("0.0.0.0", port + i))  # fmt: skip
    print("ready", flush=True)
    await asyncio.sleep(3600)


def port_of(name, port):
    """The port on which NAME serves."""
    for names in ([*SERVERS, *TLS], [*DATAGRAMS]):
        if name in names:
            return port + names.index(name)
    raise KeyError(name)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
