// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charging memory to cgroups, by the kernel's controller of devices' memory. That gives a reference
 * to a group with each charge, takes it back with the end of the charge, and knows only the group
 * of the task that calls.
 */
#include <linux/cgroup_dmem.h>
#include <linux/err.h>
#include <linux/kref.h>
#include <linux/slab.h>

#include "dmem.h"

/* Bytes that are charged to a group; and what RESIZE had charged to others. */
struct mal_dmem_charge {
	struct kref ref;			/* of the first one only */
	struct dmem_cgroup_pool_state *group;	/* constant */
	u64 bytes;				/* under dmem->lock, as is */
	struct mal_dmem_charge *next;		/* of other groups, each only once */
};

int mal_dmem_init(struct mal_dmem *dmem, const char *name, u64 bytes)
{
	spin_lock_init(&dmem->lock);
	dmem->region = mal_dmem_register_region(bytes, KBUILD_MODNAME "/%s", name);
	return PTR_ERR_OR_ZERO(dmem->region);
}

void mal_dmem_destroy(struct mal_dmem *dmem)
{
	dmem_cgroup_unregister_region(dmem->region);
}

int mal_dmem_charge(struct mal_dmem *dmem, u64 bytes, struct mal_dmem_ref *ref)
{
	struct mal_dmem_charge *charge = kzalloc(sizeof(*charge), GFP_KERNEL_ACCOUNT);
	int err;

	if (!charge)
		return -ENOMEM;
	err = dmem_cgroup_try_charge(dmem->region, bytes, &charge->group, NULL);
	if (err) {
		kfree(charge);
		return err == -EAGAIN ? -EDQUOT : err;
	}
	kref_init(&charge->ref);
	charge->bytes = bytes;
	ref->charge = charge;
	return 0;
}

static void end_charge(struct kref *ref)
{
	struct mal_dmem_charge *charge = container_of(ref, struct mal_dmem_charge, ref);
	struct mal_dmem_charge *next;

	for (; charge; charge = next) {
		next = charge->next;
		dmem_cgroup_uncharge(charge->group, charge->bytes);
		kfree(charge);
	}
}

struct mal_dmem_ref mal_dmem_share(struct mal_dmem_ref ref)
{
	if (ref.charge)
		kref_get(&ref.charge->ref);
	return ref;
}

void mal_dmem_put(struct mal_dmem_ref *ref)
{
	if (ref->charge)
		kref_put(&ref->charge->ref, end_charge);
	ref->charge = NULL;
}

/* Of that group, or the last one. */
static struct mal_dmem_charge *find_charge(const struct mal_dmem *dmem,
					   struct mal_dmem_charge *charge,
					   const struct dmem_cgroup_pool_state *group)
{
	lockdep_assert_held(&dmem->lock);
	while (charge->group != group && charge->next)
		charge = charge->next;
	return charge;
}

void mal_dmem_join(struct mal_dmem *dmem, struct mal_dmem_ref ref, struct mal_dmem_ref *added)
{
	struct mal_dmem_charge *more = added->charge;
	struct mal_dmem_charge *charge;

	/* Who has no group pay stays so, see mal_alloc_charge_group(). */
	if (!more || !ref.charge) {
		mal_dmem_put(added);
		return;
	}
	spin_lock(&dmem->lock);
	charge = find_charge(dmem, ref.charge, more->group);
	if (charge->group == more->group) {
		charge->bytes += more->bytes;
		more->bytes = 0;
	} else {
		charge->next = more;
		added->charge = NULL;
	}
	spin_unlock(&dmem->lock);
	mal_dmem_put(added);
}

void mal_dmem_take_off(struct mal_dmem *dmem, struct mal_dmem_ref ref, u64 bytes)
{
	struct dmem_cgroup_pool_state *group;
	struct dmem_cgroup_pool_state *limiting = NULL;
	struct mal_dmem_charge *charge;

	if (!ref.charge)
		return;
	/*
	 * A reference to this task's group, whose end takes the bytes off. A group that has more
	 * than a limit which was lowered can be charged nothing, and is the limiting one.
	 */
	if (dmem_cgroup_try_charge(dmem->region, 0, &group, &limiting))
		group = limiting;
	if (!group)
		return;
	spin_lock(&dmem->lock);
	charge = find_charge(dmem, ref.charge, group);
	bytes = charge->group == group ? min(bytes, charge->bytes) : 0;
	charge->bytes -= bytes;
	spin_unlock(&dmem->lock);
	dmem_cgroup_uncharge(group, bytes);
}
