# SPDX-License-Identifier: MIT
SUMMARY = "Kernel module that gives physically contiguous buffers to programs"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://LICENSE-GPL-2.0;md5=b234ee4d69f5fce4486a80fdaf4a4263"

require memalloc.inc
inherit module

# kbuild reads the file Kbuild in M; the project's own Makefile has no part in it.
EXTRA_OEMAKE += "-C ${STAGING_KERNEL_DIR} M=${S}"
MAKE_TARGETS = "modules"

# Loaded at boot. In local.conf: MEMALLOC_SIZE = "256M"
MEMALLOC_SIZE ?= "64M"
KERNEL_MODULE_AUTOLOAD += "memalloc"
KERNEL_MODULE_PROBECONF += "memalloc"
module_conf_memalloc = "options memalloc size=${MEMALLOC_SIZE}"

# The group video may use the device.
do_install:append() {
	install -D -m 0644 ${S}/scripts/system/60-memalloc.rules \
		${D}${nonarch_base_libdir}/udev/rules.d/60-memalloc.rules
}
FILES:${PN} += "${nonarch_base_libdir}/udev"
