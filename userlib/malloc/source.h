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
	uint32_t handle;	/* the device's buffer behind it; 0: memory of the process */
	bool mapped;		/* there is memory behind it */
};

/* Find out where memory comes from, if the environment is there to tell. */
void source_settle(void);

/*
 * Put memory, which is zeros, behind the @count chunks at @address, which have none; with
 * @ordinary, that of the process. False: there is not so much; some of them may have got theirs.
 */
bool source_map(char *address, struct chunk *chunks, size_t count, bool ordinary);

/* Take it away from a chunk that has it. False: it stays, the kernel is out of memory. */
bool source_unmap(char *address, struct chunk *chunk);

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
void source_fork_parent(size_t count);
void source_fork_child(char *base, struct chunk *chunks, size_t count);

#endif /* SOURCE_H */
