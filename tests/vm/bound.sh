# SPDX-License-Identifier: BSD-2-Clause
# Two NICs behind an IOMMU, bound to vfio-pci: no kernel interface, no XDP. What they send and
# receive is on the host, in wire.py.

# bind ADDRESS
bind()
{
	echo vfio-pci >"/sys/bus/pci/devices/$1/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(basename "$(readlink "/sys/bus/pci/devices/$1/driver")")" = vfio-pci ] || return
	echo "$1, $(cat "/sys/bus/pci/devices/$1/vendor" "/sys/bus/pci/devices/$1/device" | tr '\n' ' ')" \
		"in IOMMU group $(basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")")"
}

start_bound()
{
	sluice-control -c "$here/bound.conf" >/tmp/control.log 2>&1 &
	control=$!
	until_true 60 sluicectl status || { tell /tmp/control.log && return 1; }
	sluice-dataplane -c "$here/bound.conf" >/tmp/dataplane.log 2>&1 &
	dataplane=$!
	until_true 90 grep -q 'ready:' /tmp/dataplane.log || { tell /tmp/dataplane.log && return 1; }
	tail -n 1 /tmp/dataplane.log
}

stop_bound()
{
	kill "$dataplane"
	wait "$dataplane" || { tell /tmp/dataplane.log && return 1; }
	kill "$control"
	wait "$control" || { tell /tmp/control.log && return 1; }
}

check "bound: a virtio NIC" bind 0000:00:10.0
check "bound: an Intel NIC" bind 0000:00:11.0
if check "bound: the dataplane starts on both" start_bound; then
	echo "@wire"
	read -r -t 200 _
	sluicectl stats
	check "bound: both processes end when told to" stop_bound
fi
