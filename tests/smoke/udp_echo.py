# SPDX-License-Identifier: BSD-2-Clause
"""A UDP server that sends back what it gets, with its name before it:
udp_echo.py NAME PORT [ADDRESS]"""

import socket
import sys

address = sys.argv[3] if len(sys.argv) > 3 else "0.0.0.0"
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as server:
    server.bind((address, int(sys.argv[2])))
    while True:
        data, peer = server.recvfrom(65535)
        server.sendto(sys.argv[1].encode() + b" " + data, peer)
