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
	until_true 20 all_by_worker || { sluicectl status && return 1; }
	tail -n 1 /tmp/dataplane.log
}

# queues_of ENGINE: how many it serves.
queues_of()
{
	sluicectl --json status | tr -d ' \n' | grep -o "\"engine\":\"$1\"" | wc -l
}

all_by_worker()
{
	[ "$(queues_of dpdk)" = 3 ]
}

without_worker()
{
	requests "$1" && [ "$(queues_of xdp)" -ge 1 ] || { sluicectl status && return 1; }
	tail -n 1 /tmp/said
}

with_worker()
{
	both "$1" && all_by_worker || { sluicectl status && return 1; }
	tail -n 1 /tmp/said
}

echo 'engine = "auto"; cores = [ 1 ]; main_core = 0; idle = "adaptive"; memory = "128M";' \
	>/run/engine.conf
if check "auto: control starts" start_control; then
	check "auto: requests before there is a worker" without_worker 4
	if check "auto: a worker takes the queues" start_dataplane; then
		check "auto: requests through the worker" with_worker 24
		check "auto: a download through the worker" download
		kill -9 "$dataplane"
		wait "$dataplane" 2>/dev/null
		check "auto: requests after it was killed" without_worker 8
		check "auto: the worker comes back" start_dataplane
		check "auto: requests through it again" with_worker 24
		kill "$dataplane"
		wait "$dataplane"
		check "auto: it ends when told to" test "$?" = 0
	fi
	check "auto: detach leaves nothing" detach
fi
