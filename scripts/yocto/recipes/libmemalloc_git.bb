# SPDX-License-Identifier: MIT
SUMMARY = "Library for the kernel module memalloc, and a malloc on its memory"
# The header linux/memalloc.h is GPL-2.0-only WITH Linux-syscall-note, all else MIT.
LICENSE = "MIT & GPL-2.0-only"
LICENSE:${PN} = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE-MIT;md5=c8db61ed12eba4f9f06886932cde9f00 \
                    file://LICENSE-GPL-2.0;md5=b234ee4d69f5fce4486a80fdaf4a4263"

require memalloc.inc

EXTRA_OEMAKE = "-C ${S}/userlib BUILD=${S}/build PREFIX=${prefix} bindir=${bindir} libdir=${libdir} \
                includedir=${includedir} mandir=${mandir}"
# The malloc needs glibc.
EXTRA_OEMAKE:append:libc-musl = " drop_in="

do_compile() {
	oe_runmake lib
}

do_install() {
	oe_runmake install DESTDIR=${D}
}

PACKAGES =+ "${PN}-malloc"
LICENSE:${PN}-malloc = "MIT"
FILES:${PN}-malloc = "${bindir}/memalloc-run ${libdir}/memalloc"
