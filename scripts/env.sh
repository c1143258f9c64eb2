# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the scripts that source it use them
# Sourced by the other scripts: where things are, and which kernel the tests run on.
# It does not prepare the machine: scripts/setup does.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$project/build
cache=${XDG_CACHE_HOME:-$HOME/.cache}/memalloc

# A script may run under make: a make that the script starts must not become a part of that.
unset MAKEFLAGS MAKELEVEL MFLAGS

# The scripts read what programs print, and sort it.
export LC_ALL=C.UTF-8

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# The release of Debian that this machine has, if any; the compiler of a release, and its packages
# that have another name in each.
debian_release=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME-}") || true
declare -A gcc_of=([bookworm]=gcc-12 [trixie]=gcc-14)
declare -A packages_of=(
	[bookworm]="${gcc_of[bookworm]}-aarch64-linux-gnu lib32gcc-12-dev libmimalloc2.0 libtcmalloc-minimal4"
	[trixie]="${gcc_of[trixie]}-aarch64-linux-gnu lib32gcc-14-dev libmimalloc3 libtcmalloc-minimal4t64"
)

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

# download PACKAGE...: puts their .deb into the current folder, and says first how much that is. By
# default, apt downloads as a user who can't write there, hence the option.
download() {
	local get=(apt-get -q -o APT::Sandbox::User=root download)
	echo "downloading $* ($("${get[@]}" --print-uris "$@" |
		awk '{ bytes += $3 } END { print int(bytes / 1e6) + 1 }') MB)" >&2
	"${get[@]}" "$@" >&2
}

# unpack_source PACKAGE: puts a kernel's source into the current folder, without the largest parts
# that no kernel here needs.
unpack_source() {
	download "$1"
	echo "unpacking $1" >&2
	dpkg-deb --fsys-tarfile ./*.deb | tar -xO "./usr/src/$1.tar.xz" | tar -xJ \
		--strip-components=1 --exclude='*/Documentation/[!K]*' --exclude='*/boot/dts' \
		--exclude='*/drivers/gpu/drm/amd/include' --exclude='*/tools/perf'
	rm ./*.deb
}

# debian_source SUITE: the line for apt that names a suite of Debian, from where this machine has
# its own packages from.
debian_source() {
	local label=Debian format='$(LABEL) $(REPO_URI)' mirror
	[[ $1 != *-security ]] || label=Debian-Security
	mirror=$(apt-get indextargets --format "$format" 'Created-By: Packages' 'Origin: Debian' |
		awk -v label="$label" '$1 == label && !found { print $2; found = 1 }')
	[ -n "$mirror" ] || die "apt has no source of $label, from which $1 could come: add it to \
/etc/apt/sources.list, and run apt-get update"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main"
}

# debian_root RELEASE PACKAGE,... OPTION...: writes the files of a root folder of Debian, as a tar
# archive. The options are mmdebstrap's.
debian_root() {
	local source
	source=$(debian_source "$1")
	# mmdebstrap has sh write to one of its own descriptors. sh knows numbers of one digit only.
	exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
	# As another user, it does not reach the current folder if that is private.
	(cd / && mmdebstrap --quiet --format=tar --include="$2" --aptopt='Acquire::Retries "3"' \
		"${@:3}" "$1" - "$source")
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
gcc=${gcc_of[${debian_release:-none}]-gcc}
source_tree=$cache/$stock_source-$stock_release
kselftest=$source_tree/tools/testing/selftests
