/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ALLOC_H
#define MAL_ALLOC_H

#include <linux/types.h>

#include "quarantine.h"
#include "region.h"

struct mal_extent;
struct mal_bounds;

/*
 * Charge @payer for @buffers, or a part of one (0), of @bytes that it is about to get. If a limit
 * is reached, scan the user's quarantine and try once more. Sleeps. -EDQUOT.
 */
int __must_check mal_alloc_charge(struct mal_payer *payer, u64 bytes, u32 buffers);

/*
 * Charge the cgroup of this task for @bytes that @payer gets; but what the system pays for, no
 * group does. Sleeps. -EDQUOT, -ENOMEM.
 */
static inline int __must_check mal_alloc_try_charge_group(struct mal_region *region,
							  const struct mal_payer *payer, u64 bytes,
							  struct mal_dmem_ref *ref)
{
	return mal_user_is_system(payer->user) ? 0 : mal_dmem_charge(&region->dmem, bytes, ref);
}

/* The same, which scans as mal_alloc_charge() does. */
static inline int __must_check mal_alloc_charge_group(struct mal_region *region,
						      struct mal_payer *payer, u64 bytes,
						      struct mal_dmem_ref *ref)
{
	int err = mal_alloc_try_charge_group(region, payer, bytes, ref);

	if (err == -EDQUOT && mal_quarantine_scan(payer->user))
		err = mal_alloc_try_charge_group(region, payer, bytes, ref);
	return err;
}

/*
 * Get what @bounds ask for, for @extent, which is charged, zeroed; if there is no room, scan the
 * user's quarantine and try once more. Poisoned pages that zeroing comes upon are retired. If
 * @extent has a block already, only zero that. After an error, @extent has no block; the charge
 * stays. Sleeps. -ENOMEM; -EINTR: a fatal signal arrived.
 */
int __must_check mal_alloc_charged(struct mal_extent *extent, const struct mal_bounds *bounds);

/*
 * All of these. After an error, @extent may still have a reference to what its cgroup was charged,
 * which goes with it. Sleeps.
 */
int __must_check mal_alloc(struct mal_extent *extent, const struct mal_bounds *bounds);

/*
 * Nobody uses @extent any more. The extent, its block and its charge go: at once if @is_idle, which
 * mal_extent_detach_pages() has answered, and if the extent is not retained; else later, from
 * quarantine. Sleeps; may be called with mmap_lock held.
 */
void mal_free(struct mal_extent *extent, bool is_idle);

/*
 * Retire the poisoned ones of these pages, which were given back; others may have taken some of
 * them by now. Sleeps.
 */
void mal_retire_poisoned(struct mal_region *region, u32 first, u32 pages);

/*
 * A request for a buffer of @length bytes failed with @err: trace it, and count -ENOMEM and
 * -EFBIG.
 */
void mal_alloc_failed(struct mal_region *region, u64 length, int err);

#endif /* MAL_ALLOC_H */
