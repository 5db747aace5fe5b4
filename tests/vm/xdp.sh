# SPDX-License-Identifier: BSD-2-Clause
# engine = "xdp": the program alone, with no DPDK process.
. "$here/veth.sh"
make_veth

echo 'engine = "xdp";' >/run/engine.conf
if check "xdp: control starts" start_control; then
	check "xdp: what a start costs" start_cost
	check "xdp: a program on each port" attached 3
	check "xdp: ARP for the VIP is answered" answers_arp
	check "xdp: requests" both 24
	check "xdp: a download" download
	sluicectl stats
	kill -9 "$control"
	wait "$control" 2>/dev/null
	check "xdp: requests while control is dead" requests 8
	check "xdp: control comes back" start_control
	check "xdp: detach leaves nothing" detach
fi
