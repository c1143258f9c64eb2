# SPDX-License-Identifier: MIT
# The kernel module memalloc, from the repository that has this file.
MEMALLOC_VERSION = 0.1.0
MEMALLOC_SITE = $(BR2_EXTERNAL_MEMALLOC_PATH)/../..
MEMALLOC_SITE_METHOD = local
MEMALLOC_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude /build
MEMALLOC_LICENSE = GPL-2.0
MEMALLOC_LICENSE_FILES = COPYING LICENSE-GPL-2.0

# CONFIG_CMA brings alloc_contig_range(), and reserves nothing; CONFIG_SYNC_FILE brings dma-bufs.
define MEMALLOC_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_CMA)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SYNC_FILE)
endef

# Loaded at boot; the group video may use the device, where udev runs.
define MEMALLOC_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0644 $(@D)/scripts/system/60-memalloc.rules \
		$(TARGET_DIR)/usr/lib/udev/rules.d/60-memalloc.rules
	mkdir -p $(TARGET_DIR)/etc/modprobe.d $(TARGET_DIR)/etc/modules-load.d
	echo options memalloc size=$(BR2_PACKAGE_MEMALLOC_SIZE) >$(TARGET_DIR)/etc/modprobe.d/memalloc.conf
	echo memalloc >$(TARGET_DIR)/etc/modules-load.d/memalloc.conf
endef

$(eval $(kernel-module))
$(eval $(generic-package))
