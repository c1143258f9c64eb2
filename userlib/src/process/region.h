/* SPDX-License-Identifier: MIT */
/*
 * The memory of one memalloc_open(): a memfd, with the same heap as in the module.
 *
 * One lock guards all regions and all that is in them. It is held across fork(), so that a child
 * finds what it inherits in order. But the memory stays the parent's: a child can only let go of
 * it.
 */
#ifndef PROCESS_REGION_H
#define PROCESS_REGION_H

#include "../core.h"
#include "../public.h"

struct region {
	char name[MEMALLOC_NAME_LEN];
	int fd;			/* the memfd */
	unsigned int users;	/* the struct memalloc, and mappings */
	unsigned int process;	/* that it belongs to: how many forks led there */
	unsigned int shift;	/* from bytes to granules */
	bool has_udmabuf;	/* there is a /dev/udmabuf that may be opened */
	struct mal_heap heap;
	void *handles;		/* a tree, by id */
	u32 last_handle;
	struct export *exports;	/* of all buffers */
	struct memalloc_stats stats;	/* those that are counted */
};

/*
 * The lock is held across fork() from here on. Who has a lock outside of this one, and holds it
 * across fork(), too, calls this before pthread_atfork(). Errors: pthread_atfork(3).
 */
int region_watch_forks(void);

/* The lock of all regions. */
void region_lock(void);
void region_unlock(void);

/*
 * A region of that name, of @length bytes, with one user; to be given to region_put(). -EINVAL: no
 * region can have as many; -EFBIG: no file may; -ENOMEM; others of memfd_create(2) and mmap(2).
 */
int region_open(const char *name, uint64_t length, struct region **opened);

/* One user less; the last one takes the region with it. With the lock held. */
void region_put(struct region *region);

static inline u64 region_bytes(const struct region *region, u32 granules)
{
	return (u64)granules << region->shift;
}

/* Does the region belong to this process, not to a parent? With the lock held. */
bool region_is_ours(const struct region *region);

#endif /* PROCESS_REGION_H */
