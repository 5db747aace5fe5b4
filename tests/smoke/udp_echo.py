# SPDX-License-Identifier: BSD-2-Clause
"""A UDP server that sends back what it gets, with its name before it: udp_echo.py NAME PORT"""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("0.0.0.0", int(sys.argv[2])))
    while True:
        data, peer = server.recvfrom(2048)
        server.sendto(sys.argv[1].encode() + b" " + data, peer)
