/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMEM_H
#define MAL_DMEM_H

#include <linux/types.h>

/*
 * The kernel's cgroup controller of devices' memory, dmem, which Linux has had since 6.14: a region
 * is one of the memories that it limits, by the name memalloc/NAME. A buffer is charged to the
 * group of the task that allocates it, until its last page is back; what is ready, or kept by a
 * client, is charged to none. This comes besides the limits of users, see charge.h.
 *
 * Without CONFIG_CGROUP_DMEM, all of it is empty.
 */

/* What some memory is charged to. It has a reference to that. */
struct mal_dmem_charge {
#ifdef CONFIG_CGROUP_DMEM
	struct dmem_cgroup_pool_state *group;	/* NULL: to none */
	u64 bytes;
#endif
};

/* A region, for the controller. */
struct mal_dmem {
#ifdef CONFIG_CGROUP_DMEM
	struct dmem_cgroup_region *region;
#endif
};

#ifdef CONFIG_CGROUP_DMEM

/* @bytes: the most that there will be. Sleeps. -ENOMEM. */
int mal_dmem_init(struct mal_dmem *dmem, const char *name, u64 bytes);

/* Nothing may be charged any more. Sleeps. */
void mal_dmem_destroy(struct mal_dmem *dmem);

/*
 * Charge @bytes to the group of this task. Sleeps. -EDQUOT: that group, or one above, would have
 * more than it may have; -ENOMEM. In both cases nothing is charged.
 */
int mal_dmem_charge(struct mal_dmem *dmem, u64 bytes, struct mal_dmem_charge *charge);

/* From now on, it is charged to none. Does nothing if it is not charged. */
void mal_dmem_uncharge(struct mal_dmem_charge *charge);

/*
 * A reference to what @charge is charged to, for mal_dmem_move(). Sleeps. -EDQUOT: this task is in
 * another group, or one above has more than it may have; -ENOMEM.
 */
int mal_dmem_get(struct mal_dmem *dmem, const struct mal_dmem_charge *charge,
		 struct mal_dmem_charge *none);

/*
 * @bytes that are charged as @from are charged as @to from now on. False: these are different
 * groups, and nothing was done.
 */
bool mal_dmem_move(struct mal_dmem_charge *from, struct mal_dmem_charge *to, u64 bytes);

#else

static inline int mal_dmem_init(struct mal_dmem *dmem, const char *name, u64 bytes)
{
	return 0;
}

static inline void mal_dmem_destroy(struct mal_dmem *dmem)
{
}

static inline int mal_dmem_charge(struct mal_dmem *dmem, u64 bytes, struct mal_dmem_charge *charge)
{
	return 0;
}

static inline void mal_dmem_uncharge(struct mal_dmem_charge *charge)
{
}

static inline int mal_dmem_get(struct mal_dmem *dmem, const struct mal_dmem_charge *charge,
			       struct mal_dmem_charge *none)
{
	return 0;
}

static inline bool mal_dmem_move(struct mal_dmem_charge *from, struct mal_dmem_charge *to,
				 u64 bytes)
{
	return true;
}

#endif

#endif /* MAL_DMEM_H */
