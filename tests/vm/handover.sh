# SPDX-License-Identifier: BSD-2-Clause
# engine = "auto": a worker over AF_XDP, and the program when it is killed. This is where libxdp's
# adoption of a program that is attached already meets this kernel.
. "$here/veth.sh"
make_veth

start_dataplane()
{
	sluice-dataplane -c "$config" >/tmp/dataplane.log 2>&1 &
	dataplane=$!
	until_true 60 grep -q 'ready:' /tmp/dataplane.log || { tell /tmp/dataplane.log && return 1; }
	until_true 20 served_by dpdk || { sluicectl status && return 1; }
	tail -n 1 /tmp/dataplane.log
}

served_by()
{
	sluicectl --json status | tr -d ' \n' | grep -q "\"engine\":\"$1\""
}

echo 'engine = "auto"; cores = [ 1 ]; main_core = 0; idle = "adaptive"; memory = "128M";' \
	>/run/engine.conf
if check "auto: control starts" start_control; then
	check "auto: requests before there is a worker" requests 4
	if check "auto: a worker takes the queues" start_dataplane; then
		check "auto: requests through the worker" requests 8
		check "auto: a download through the worker" download
		kill -9 $dataplane
		wait $dataplane 2>/dev/null
		check "auto: requests after it was killed" requests 8
		check "auto: the worker comes back" start_dataplane
		check "auto: requests through it again" requests 4
		kill $dataplane
		wait $dataplane
		check "auto: it ends when told to" test $? = 0
	fi
	check "auto: detach leaves nothing" detach
fi
