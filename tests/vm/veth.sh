# SPDX-License-Identifier: BSD-2-Clause
# A gateway between a client and two backends, each of these in a network namespace:
#
#     client                  here                      b1, b2
#     eth0 198.51.100.2/24 -- cl0 198.51.100.1/24
#                             be1 10.1.1.1/24 --------- eth0 10.1.1.2/24
#                             be2 10.1.2.1/24 --------- eth0 10.1.2.2/24
#
# The VIP 198.51.100.10 is on no interface. Sourced by the parts that need it; made once.

vip=198.51.100.10
config=/run/veth.conf

in_client()
{
	ip netns exec client "$@"
}

# host NAME HERE HERE_ADDRESS ITS_ADDRESS
host()
{
	ip netns add "$1"
	ip link add "$2" type veth peer name eth0 netns "$1"
	# What hosts send is as on a wire; with GRO on they take what XDP sends.
	ethtool -K "$2" tx off tso off gso off gro off
	ip netns exec "$1" ethtool -K eth0 tx off tso off gso off gro on
	ip link set "$2" up
	ip netns exec "$1" ip link set lo up
	ip netns exec "$1" ip link set eth0 up
	ip addr add "$3/24" dev "$2"
	ip netns exec "$1" ip addr add "$4/24" dev eth0
}

backend()
{
	host "b$1" "be$1" "10.1.$1.1" "10.1.$1.2"
	ip netns exec "b$1" ip route add default via "10.1.$1.1"
	mkdir -p "/tmp/b$1"
	echo "b$1" >"/tmp/b$1/index.html"
	cp /tmp/blob "/tmp/b$1/blob"
	ip netns exec "b$1" httpd -p 80 -h "/tmp/b$1"
}

make_veth()
{
	[ -e /tmp/blob ] && return
	head -c 2000000 /dev/urandom >/tmp/blob
	host client cl0 198.51.100.1 198.51.100.2
	in_client ip link set eth0 xdp obj "$here/pass.bpf.o" sec xdp # its source says why
	backend 1
	backend 2
	cp "$here"/veth.conf "$config"
} >/tmp/veth.log 2>&1

start_control()
{
	sluice-control -c "$config" >/tmp/control.log 2>&1 &
	control=$!
	until_true 60 sluicectl status || { tell /tmp/control.log && return 1; }
	sluicectl status
}

# What the start of control cost; the machine is emulated, so only the ratio to another start counts.
start_cost()
{
	echo "$(grep -o 'XDP programs: .*' /tmp/control.log)," \
		"$(awk '{ printf "%.2f s of CPU", ($14 + $15) / 100 }' "/proc/$control/stat")"
}

answers_arp()
{
	in_client ip neigh flush all
	in_client arping -c 3 -f -w 10 -I eth0 $vip >/tmp/arping
	grep -i "$(cat /sys/class/net/cl0/address)" /tmp/arping
}

# requests N: that many answers, each on a connection of its own.
requests()
{
	local n=$1 i=0
	: >/tmp/answers
	while [ $i -lt "$n" ]; do
		in_client curl -sS -m 20 http://$vip/ >>/tmp/answers || break
		i=$((i + 1))
	done
	echo "$i of $n answered: $(grep -c b1 /tmp/answers) by b1, $(grep -c b2 /tmp/answers) by b2"
	[ $i = "$n" ]
}

# both N: the same, and both backends gave some.
both()
{
	requests "$1" && grep -q b1 /tmp/answers && grep -q b2 /tmp/answers
}

download()
{
	in_client curl -sS -m 60 -o /tmp/got http://$vip/blob
	local status=$?
	echo "$(stat -c %s /tmp/got) bytes"
	[ $status = 0 ] && cmp /tmp/got /tmp/blob
}

attached()
{
	local n
	n=$(ip link show | grep -c 'prog/xdp') # here, that is
	echo "$n programs"
	[ "$n" = "$1" ]
}

detach()
{
	timeout 30 sluicectl detach && until_true 20 attached 0 && [ ! -d /sys/fs/bpf/sluice/veth ]
}
