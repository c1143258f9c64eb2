/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMEM_H
#define MAL_DMEM_H

#include <linux/spinlock.h>
#include <linux/types.h>

/*
 * The kernel's cgroup controller of devices' memory, dmem, which Linux has had since 6.14: a region
 * is one of the memories that it limits, by the name memalloc/NAME. A buffer is charged to the
 * group of the task that allocates it, until its last page is back; what is ready, or kept by a
 * client, is charged to none. This comes besides the limits of users, see charge.h.
 *
 * What RESIZE adds is charged to the group of the task that calls it, and then belongs to the
 * buffer. What it cuts off keeps the charge alive until it is back; then it is taken off the charge
 * if the task is in a group that has it. So no group pays for others' calls, nobody is refused to
 * give something back, and no less is charged than there is.
 *
 * Without CONFIG_CGROUP_DMEM, all of it is empty.
 */

/* A reference to what some memory is charged to. Zeroes: to nothing. */
struct mal_dmem_ref {
#ifdef CONFIG_CGROUP_DMEM
	struct mal_dmem_charge *charge;
#endif
};

/* A region, for the controller. */
struct mal_dmem {
#ifdef CONFIG_CGROUP_DMEM
	struct dmem_cgroup_region *region;
	spinlock_t lock;		/* of the bytes of charges, and what comes after each */
#endif
};

#ifdef CONFIG_CGROUP_DMEM

/* @bytes: the most that there will be. Sleeps. -ENOMEM. */
int mal_dmem_init(struct mal_dmem *dmem, const char *name, u64 bytes);

/* Nothing may be charged any more. Sleeps. */
void mal_dmem_destroy(struct mal_dmem *dmem);

/*
 * Charge @bytes to the group of this task. Sleeps. -EDQUOT: that group, or one above, would have
 * more than it may have; -ENOMEM. In both cases nothing is charged, and *@ref is not touched.
 */
int mal_dmem_charge(struct mal_dmem *dmem, u64 bytes, struct mal_dmem_ref *ref);

/* One more reference. */
struct mal_dmem_ref mal_dmem_share(struct mal_dmem_ref ref);

/* Give up *@ref. With the last one, the charge ends. */
void mal_dmem_put(struct mal_dmem_ref *ref);

/* What is charged as *@added, which nobody shares, belongs to @ref from now on. */
void mal_dmem_join(struct mal_dmem *dmem, struct mal_dmem_ref ref, struct mal_dmem_ref *added);

/* @bytes of what is charged as @ref are back. Sleeps. */
void mal_dmem_take_off(struct mal_dmem *dmem, struct mal_dmem_ref ref, u64 bytes);

#else

static inline int mal_dmem_init(struct mal_dmem *dmem, const char *name, u64 bytes)
{
	return 0;
}

static inline void mal_dmem_destroy(struct mal_dmem *dmem)
{
}

static inline int mal_dmem_charge(struct mal_dmem *dmem, u64 bytes, struct mal_dmem_ref *ref)
{
	return 0;
}

static inline struct mal_dmem_ref mal_dmem_share(struct mal_dmem_ref ref)
{
	return ref;
}

static inline void mal_dmem_put(struct mal_dmem_ref *ref)
{
}

static inline void mal_dmem_join(struct mal_dmem *dmem, struct mal_dmem_ref ref,
				 struct mal_dmem_ref *added)
{
}

static inline void mal_dmem_take_off(struct mal_dmem *dmem, struct mal_dmem_ref ref, u64 bytes)
{
}

#endif

#endif /* MAL_DMEM_H */
