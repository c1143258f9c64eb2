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

/* Find out where memory comes from, if the environment is there to tell. */
void source_settle(void);

/*
 * Put memory of the process, which is zeros, at these addresses, which are not ours yet. -ENOMEM:
 * there is not so much; -EEXIST: somebody else has something there.
 */
int source_map(char *address, size_t bytes);

/* Put memory of the device behind a chunk that has none at all. Errors: as source_map(). */
int source_map_buffer(char *address, struct chunk *chunk);

/*
 * Take away what is behind all of a chunk of the device, or a part of another one. False: it
 * stays, the kernel is out of memory.
 */
bool source_unmap(char *address, size_t bytes, struct chunk *chunk);

/* Does nobody have anything at these addresses? */
bool source_is_vacant(char *address, size_t bytes);

/* When the device has no more, is there no memory? */
bool source_is_only_device(void);

/* Does memory come from the device, as long as it has some? */
bool source_is_device(void);

/*
 * Move @bytes of what lies at @from, which is zeros then, to @to, by moving pages; both are memory
 * of the process. False: nothing was changed.
 */
bool source_move(char *from, char *to, size_t bytes);

/*
 * fork(): mappings of the device are shared with the child. So the parent copies the slices
 * in use of the @count chunks at @base that are the device's, before it has a child; the child
 * then puts the copies where the chunks were, and the parent forgets them.
 */
void source_fork_prepare(char *base, struct chunk *chunks, size_t count);
void source_fork_parent(void);
void source_fork_child(char *base, struct chunk *chunks, size_t count);

#endif /* SOURCE_H */
