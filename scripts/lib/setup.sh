# SPDX-License-Identifier: BSD-2-Clause
# Makes a fresh Debian 12 machine ready to build and run Sluice. Sourced by scripts/demo,
# scripts/test and scripts/bench, which call sl_setup.
#
# What is there already is left alone: packages are asked of dpkg, mounts of the kernel, huge pages
# are only ever added. Two runs may start at once: the machine is changed under one lock, a build
# directory under another (the checkout's own).

sl_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sl_python=/usr/bin/python3 # Debian's: it sees the python3-* packages below

# The one list of packages, for building, testing and showing.
sl_packages="
	gcc libc6-dev linux-libc-dev meson ninja-build pkg-config
	clang llvm clang-format bpftool
	dpdk dpdk-dev libdpdk-dev libbpf-dev libxdp-dev
	libconfig-dev libevent-dev libjansson-dev libnl-3-dev libnl-route-3-dev libpcap-dev
	libsmartcols-dev libssl-dev
	libcmocka-dev python3 python3-pytest python3-scapy
	nginx-light wrk curl ethtool iproute2 iputils-ping traceroute nftables procps
"
# What scripts/test-vm needs beside them.
sl_vm_packages="qemu-system-x86 busybox-static cpio kmod"
# And what scripts/test-captures does.
sl_capture_packages="tshark"

sl_huge_pages=${SLUICE_HUGE_PAGES:-256} # of 2 MB, to be free when we start: room for a few runs

sl_say()
{
	printf '%s\n' "$*" >&2
}

sl_die()
{
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# sl_quietly WHAT COMMAND...: one line of progress; the command's output only if it fails.
sl_quietly()
{
	local what=$1 log start=$SECONDS status=0
	shift
	log=$(mktemp)
	printf '  %s ' "$what" >&2
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if [ $status = 0 ]; then
		sl_say "· $((SECONDS - start)) s"
	else
		sl_say "· failed ($status):"
		tail -n 60 "$log" >&2
	fi
	rm -f "$log"
	return $status
}

# sl_locked FILE COMMAND...: one run at a time; the lock goes with its holder.
sl_locked()
{
	local file=$1
	shift
	(
		flock -n 9 || { sl_say "  waiting for another run ..." && flock 9; } || exit
		"$@" 9<&-
	) 9<"$file"
}

sl_missing()
{
	local package
	for package in $sl_packages; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
		installed*) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

# Debian starts what it installs: an nginx on this host is not what anybody asked us for.
sl_apt()
{
	local policy=/usr/sbin/policy-rc.d had_nginx=no ours=no status=0
	[ -e /etc/init.d/nginx ] && had_nginx=yes
	grep -qs sluice $policy && rm -f $policy # of a run that was killed
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\n# sluice: nothing starts while its packages are installed\nexit 101\n' \
			>$policy
		chmod 755 $policy
		ours=yes
		trap 'rm -f /usr/sbin/policy-rc.d; exit 130' INT TERM HUP
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update &&
		apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@" ||
		status=$?
	[ $ours = yes ] && rm -f $policy && trap - INT TERM HUP
	if [ $had_nginx = no ] && [ -e /etc/init.d/nginx ]; then
		systemctl disable nginx || update-rc.d nginx disable || true
	fi
	return $status
}

sl_install()
{
	local missing
	missing=$(sl_missing)
	[ -z "$missing" ] && return
	# shellcheck disable=SC2086
	sl_quietly "installing $(echo $missing | wc -w) Debian packages" sl_apt $missing ||
		sl_die "apt could not install: $missing"
}

sl_mount()
{
	local type=$1 where=$2
	grep -q " $where $type " /proc/mounts && return
	mkdir -p "$where" 2>/dev/null
	mount -t "$type" sluice "$where" || sl_die "cannot mount $type on $where: run as root on a" \
		"kernel that has it, not in an unprivileged container"
	sl_say "  mounted $type on $where"
}

sl_reserve()
{
	local pages=/sys/kernel/mm/hugepages/hugepages-2048kB free total
	[ -d $pages ] || sl_die "this kernel has no 2 MB huge pages"
	free=$(cat $pages/free_hugepages)
	[ "$free" -ge "$sl_huge_pages" ] && return
	total=$(($(cat $pages/nr_hugepages) + sl_huge_pages - free))
	echo 1 >/proc/sys/vm/compact_memory 2>/dev/null || true
	echo $total >$pages/nr_hugepages
	free=$(cat $pages/free_hugepages)
	[ "$free" -ge "$sl_huge_pages" ] || sl_die "only $free of $sl_huge_pages huge pages of 2 MB" \
		"could be had: free some memory, or reserve them at boot with hugepages=$total"
	sl_say "  reserved huge pages: $free of 2 MB are free"
}

sl_machine()
{
	sl_install
	sl_mount bpf /sys/fs/bpf
	sl_mount hugetlbfs /dev/hugepages
	sl_reserve
}

sl_meson()
{
	local dir=$1 word targets=() options=()
	shift
	for word; do
		case $word in
		-*) options+=("$word") ;;
		*) targets+=("$word") ;;
		esac
	done
	# A build directory is good for one place: a checkout may have been moved, or mounted elsewhere.
	if [ -e "$dir/build.ninja" ] &&
		! grep -qs "\"build\": \"$dir\"" "$dir/meson-info/meson-info.json"; then
		rm -rf "$dir"
	fi
	if [ ! -e "$dir/build.ninja" ]; then
		meson setup "$dir" "$sl_root" "${options[@]}" || return
	fi
	ninja -C "$dir" "${targets[@]}"
}

# sl_build DIRECTORY [TARGETS] [MESON OPTIONS]: builds the checkout there, or those targets of it.
sl_build()
{
	local dir=$1
	shift
	sl_locked "$sl_root" sl_quietly "building in $(basename "$dir")" sl_meson "$dir" "$@"
}

sl_setup()
{
	[ "$(id -u)" = 0 ] || sl_die "run me as root: I make network namespaces and load BPF programs"
	[ "$(uname -m)" = x86_64 ] || sl_die "Sluice needs x86-64, this is $(uname -m)"
	command -v dpkg-query >/dev/null || sl_die "this script knows Debian only; elsewhere install" \
		"the packages that it lists, then: meson setup build && ninja -C build"
	mkdir -p /run/lock
	: >>/run/lock/sluice-setup
	sl_locked /run/lock/sluice-setup sl_machine || exit
	export PYTHONDONTWRITEBYTECODE=1
}
