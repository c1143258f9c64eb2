# SPDX-License-Identifier: MIT
include $(sort $(wildcard $(BR2_EXTERNAL_MEMALLOC_PATH)/package/*/*.mk))
