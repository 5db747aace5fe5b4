# SPDX-License-Identifier: BSD-2-Clause
# bench/pktgen/kernel.sh against this kernel's pktgen: a veth in the gateway's place, which loses
# nothing. What is looked at is that the kernel takes what the script says, and that the frames are
# those of traffic.conf.

pktgen_lines()
{
	ip link add pg0 type veth peer name pg1
	ip link set pg0 up
	ip link set pg1 up
	sed -e 's/^FLOWS=.*/FLOWS="1 1024 1048576"/' -e 's/^SIZES=.*/SIZES="64 1518"/' \
		-e 's/^RATES=.*/RATES="10 100"/' -e 's/^SECONDS_EACH=.*/SECONDS_EACH="1"/' \
		-i "$here/pktgen/traffic.conf"
	sh "$here/pktgen/kernel.sh" pg0 pg1 2000 >/tmp/pktgen || {
		cat /tmp/pktgen
		return 1
	}
	cat /tmp/pktgen
	# 3 * 2 * 2 lines beside the heading, each with all that was asked for sent and received.
	[ "$(awk -F, 'NR > 1 && $5 == $3 && $6 >= $5' /tmp/pktgen | wc -l)" = 12 ] || return 1
	echo "$(wc -l </tmp/pktgen) lines"
}

check "the kernel's pktgen takes bench/pktgen/kernel.sh" pktgen_lines
ip link del pg0 2>/dev/null
