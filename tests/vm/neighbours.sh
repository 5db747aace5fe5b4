# SPDX-License-Identifier: BSD-2-Clause
# A table of neighbours that is too small for the backends on one link. Its limit is the machine's,
# whatever the network namespace: no test on a machine that does something else may touch it.
. "$here/veth.sh"
make_veth
sysctl=/proc/sys/net/ipv4/neigh/default

crowd()
{
	local n=2
	sed '/backends = (/q' "$here/veth.conf"
	while [ $n -lt 42 ]; do
		[ $n = 2 ] || echo ,
		echo "{ name = \"c$n\"; address = \"10.1.1.$n\"; }"
		n=$((n + 1))
	done
	echo '); } );'
}

names_the_sysctl()
{
	sluicectl status >/tmp/status
	grep 'gc_thresh3, now 10,' /tmp/status && grep 'has no room for its next hop' /tmp/status
}

is_well()
{
	sluicectl status >/tmp/status
	! grep -q gc_thresh3 /tmp/status
}

n=2
while [ $n -lt 42 ]; do
	ip netns exec b1 ip addr add 10.1.1.$n/24 dev eth0 2>/dev/null
	n=$((n + 1))
done
cat $sysctl/gc_thresh1 $sysctl/gc_thresh2 $sysctl/gc_thresh3 >/tmp/thresholds
for n in 1 2 3; do
	echo 10 >$sysctl/gc_thresh$n
done
echo 'engine = "xdp";' >/run/engine.conf
crowd >/run/crowd.conf
config=/run/crowd.conf
if check "neighbours: control starts" start_control; then
	check "neighbours: status names the table that is full" until_true 20 names_the_sysctl
	echo 1024 >$sysctl/gc_thresh3
	check "neighbours: and not once there is room" until_true 60 is_well
	check "neighbours: detach leaves nothing" detach
fi
tell /tmp/control.log
for n in 1 2 3; do
	sed -n ${n}p /tmp/thresholds >$sysctl/gc_thresh$n
done
config=/run/veth.conf
