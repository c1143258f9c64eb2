// SPDX-License-Identifier: GPL-2.0-only
/* Charging memory to cgroups, by the kernel's controller of devices' memory. */
#include <linux/cgroup_dmem.h>
#include <linux/err.h>

#include "dmem.h"

int mal_dmem_init(struct mal_dmem *dmem, const char *name, u64 bytes)
{
	dmem->region = mal_dmem_register_region(bytes, KBUILD_MODNAME "/%s", name);
	return PTR_ERR_OR_ZERO(dmem->region);
}

void mal_dmem_destroy(struct mal_dmem *dmem)
{
	dmem_cgroup_unregister_region(dmem->region);
}

int mal_dmem_charge(struct mal_dmem *dmem, u64 bytes, struct mal_dmem_charge *charge)
{
	int err = dmem_cgroup_try_charge(dmem->region, bytes, &charge->group, NULL);

	charge->bytes = err ? 0 : bytes;
	return err == -EAGAIN ? -EDQUOT : err;
}

void mal_dmem_uncharge(struct mal_dmem_charge *charge)
{
	dmem_cgroup_uncharge(charge->group, charge->bytes);
	*charge = (struct mal_dmem_charge){};
}

/* Who has more than a limit that was lowered can be charged nothing, and is the limiting group. */
int mal_dmem_get(struct mal_dmem *dmem, const struct mal_dmem_charge *charge,
		 struct mal_dmem_charge *none)
{
	struct dmem_cgroup_pool_state *limiting;
	int err = dmem_cgroup_try_charge(dmem->region, 0, &none->group, &limiting);

	if (err == -EAGAIN) {
		err = 0;
		none->group = limiting;
	}
	none->bytes = 0;
	if (err || none->group == charge->group)
		return err;
	mal_dmem_uncharge(none);
	return -EDQUOT;
}

bool mal_dmem_move(struct mal_dmem_charge *from, struct mal_dmem_charge *to, u64 bytes)
{
	if (from->group != to->group)
		return false;
	from->bytes -= bytes;
	to->bytes += bytes;
	return true;
}
