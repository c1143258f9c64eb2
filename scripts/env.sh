# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the scripts that source it use them
# Sourced by the other scripts: where things are, and which kernel the tests run on.
# It does not prepare the machine: scripts/setup does.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$project/build
cache=${XDG_CACHE_HOME:-$HOME/.cache}/memalloc

# A script may run under make: a make that the script starts must not become a part of that.
unset MAKEFLAGS MAKELEVEL MFLAGS

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# in_cache DIR COMMAND...: makes DIR, unless it exists, by running COMMAND in a new folder. The
# folder gets the name DIR only when it is complete.
in_cache() {
	local dir=$1
	shift
	[ ! -d "$dir" ] || return 0
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock 9
	if [ ! -d "$dir" ]; then
		rm -rf "$dir.part"
		mkdir "$dir.part"
		(cd "$dir.part" && "$@")
		mv "$dir.part" "$dir"
	fi
	exec 9>&-
}

# The comment at the head of a script, below its license, is its help.
show_help() {
	sed -n '3,/^[^#]/{s/^# \?//p}' "$0"
	exit 0
}

# The "stock" kernel: Debian's linux-headers-amd64 depends on its headers, and the VM boots its
# image. stock_release is empty as long as the headers are not installed.
stock_release=$(dpkg-query -W -f '${Depends}' linux-headers-amd64 2>/dev/null |
	sed -n 's/^linux-headers-\([^ ]*\).*/\1/p' || true)
stock_headers=/usr/src/linux-headers-$stock_release
stock_kernel=$cache/linux-image-$stock_release
stock_source=linux-source-$(cut -d. -f1,2 <<<"$stock_release")
source_tree=$cache/$stock_source-$stock_release
kselftest=$source_tree/tools/testing/selftests
