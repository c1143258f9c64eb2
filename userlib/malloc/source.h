/* SPDX-License-Identifier: MIT */
/*
 * Where memory for the range comes from: the process, as private memory, or /dev/memalloc, as
 * buffers of a chunk each. Called with the range's lock held.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A chunk. What it is used for is the range's business. */
struct chunk {
	uint64_t used;		/* slices that are in blocks */
	uint64_t dirty;		/* slices that may hold something else than zeros */
	uint64_t mapped;	/* slices that have memory */
	uint32_t handle;	/* the device's buffer behind all of it; 0: memory of the process */
};

/* Settle where memory comes from, unless it is too early to read the environment. */
void source_settle(void);

/*
 * Map memory of the process, which is zeros, at addresses where we have none. -ENOMEM: there is not
 * as much; -EEXIST: something else is mapped there.
 */
int source_map(char *address, size_t bytes);

/* Put memory of the device behind a chunk that has none at all. Errors: as source_map(). */
int source_map_buffer(char *address, struct chunk *chunk);

/*
 * Unmap a whole chunk of the device, or a part of a chunk of the process. False: the kernel is out
 * of memory, and nothing has changed.
 */
bool source_unmap(char *address, size_t bytes, struct chunk *chunk);

/* Is nothing mapped at these addresses? */
bool source_is_vacant(char *address, size_t bytes);

/* Is memory of the device the only memory there is? */
bool source_is_only_device(void);

/* Does memory come from the device, as long as it has some? */
bool source_is_device(void);

/*
 * Move the pages of @bytes from @from, where zeros are left, to @to. Both are memory of the
 * process. False: nothing has changed.
 */
bool source_move(char *from, char *to, size_t bytes);

/*
 * fork(): a child shares mappings of the device. So before it has a child, the parent copies those
 * of the @count chunks at @base that are the device's, as far as their slices are in use. The child
 * puts the copies where the chunks were; the parent unmaps them.
 */
void source_fork_prepare(char *base, struct chunk *chunks, size_t count);
void source_fork_parent(void);
void source_fork_child(char *base, struct chunk *chunks, size_t count);

#endif /* SOURCE_H */
