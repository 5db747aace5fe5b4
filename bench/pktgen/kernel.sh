#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's own pktgen, for where DPDK or TRex aren't at hand: a ramp of rates, for each number of
# flows and each size. traffic.conf has what is sent; README.md how to set up the gateway. It sends
# UDP alone, from one CPU and queue, some 1 to 10 Mpps: enough to compare two settings of a gateway,
# hardly ever enough to fill one.
#
#     kernel.sh DEVICE RECEIVING-DEVICE MOST-PPS
#
# DEVICE is on the clients' side of the gateway, RECEIVING-DEVICE in the place of its backends. Prints
# lines of CSV; the rates are those of traffic.conf, of MOST-PPS.
set -eu
here=$(dirname "$0")
. "$here/traffic.conf"

[ $# = 3 ] || {
	sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
device=$1 receiving=$2 most=$3
proc=/proc/net/pktgen

fail()
{
	echo "kernel.sh: $*" >&2
	exit 1
}

[ "$PROTOCOL" = udp ] || fail "the kernel's pktgen sends UDP alone, not $PROTOCOL"
[ -d $proc ] || modprobe pktgen || fail "this kernel has no pktgen"

# set_to FILE WORDS...: the kernel answers in the file itself.
set_to()
{
	file=$proc/$1
	shift
	echo "$*" >"$file" || fail "$file refuses: $*"
	case $* in
	start | stop) ;;
	*) grep -q "Result: OK" "$file" || fail "$file: $*: $(grep Result "$file")" ;;
	esac
}

bits_of()
{
	bits=0 n=1
	while [ $n -lt "$1" ]; do
		n=$((n * 2)) bits=$((bits + 1))
	done
	echo $bits
}

# The address so many after SOURCE.
source_after()
{
	old_ifs=$IFS
	IFS=.
	# shellcheck disable=SC2086
	set -- $SOURCE "$1"
	IFS=$old_ifs
	number=$((($1 << 24 | $2 << 16 | $3 << 8 | $4) + $5))
	echo "$((number >> 24 & 255)).$((number >> 16 & 255)).$((number >> 8 & 255)).$((number & 255))"
}

received()
{
	cat "/sys/class/net/$receiving/statistics/rx_packets"
}

# The end of a range is one past its last.
set_up()
{
	flows=$1 size=$2
	bits=$(bits_of "$flows")
	port_bits=$((bits < 10 ? bits : 10))
	set_to kpktgend_0 rem_device_all
	set_to kpktgend_0 add_device "$device"
	set_to "$device" pkt_size $((size - 4))
	set_to "$device" dst_mac "$GATEWAY_MAC"
	set_to "$device" dst "$VIP"
	set_to "$device" udp_dst_min "$PORT"
	set_to "$device" udp_dst_max "$PORT"
	set_to "$device" src_min "$SOURCE"
	set_to "$device" src_max "$(source_after $((1 << (bits - port_bits))))"
	set_to "$device" udp_src_min "$SOURCE_PORT"
	set_to "$device" udp_src_max $((SOURCE_PORT + (1 << port_bits)))
	set_to "$device" flag IPSRC_RND
	set_to "$device" flag UDPSRC_RND
	set_to "$device" flag UDPCSUM
	set_to "$device" clone_skb 0
}

trial()
{
	rate=$1
	set_to "$device" ratep "$rate"
	set_to "$device" count $((rate * SECONDS_EACH))
	before=$(received)
	set_to pgctrl start
	sleep 1
	taken=$(($(received) - before))
	sent=$(sed -n 's/.*pkts-sofar: \([0-9]*\).*/\1/p' "$proc/$device")
	pps=$(sed -n 's/.* \([0-9]*\)pps .*/\1/p' "$proc/$device" | tail -n 1)
	echo "$flows,$size,$rate,${pps:-0},$sent,$taken,$(awk "BEGIN { printf \"%.4f\", 100 * (1 - $taken / ($sent ? $sent : 1)) }")"
}

trap 'echo reset >$proc/pgctrl' EXIT
echo "flows,size,asked_pps,sent_pps,sent,received,lost_percent"
for flows in $FLOWS; do
	for size in $SIZES; do
		set_up "$flows" "$size"
		for percent in $RATES; do
			trial $((most * percent / 100))
		done
	done
done
