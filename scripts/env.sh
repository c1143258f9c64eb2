# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the scripts that source it use them
# Sourced by the other scripts: where things are, and which kernel the tests run on.
# Machines are not prepared here; that is scripts/setup.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$project/build
cache=${XDG_CACHE_HOME:-$HOME/.cache}/memalloc

# A make that is started by a script is a new one, not part of the one that started the script.
unset MAKEFLAGS MAKELEVEL MFLAGS

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# in_cache DIR COMMAND...: makes DIR by running COMMAND in a new folder that gets the name DIR
# only when it is complete.
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

# "Stock" is the kernel whose headers Debian's linux-headers-amd64 stands for; the matching image
# is the one that the VM boots. Empty as long as the headers are not installed.
stock_release=$(dpkg-query -W -f '${Depends}' linux-headers-amd64 2>/dev/null |
	sed -n 's/^linux-headers-\([^ ]*\).*/\1/p' || true)
stock_headers=/usr/src/linux-headers-$stock_release
stock_kernel=$cache/linux-image-$stock_release
stock_source=linux-source-$(cut -d. -f1,2 <<<"$stock_release")
source_tree=$cache/$stock_source-$stock_release
kselftest=$source_tree/tools/testing/selftests
