/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace: what a program asked of its allocator, one operation per line.
 *
 *   a NAME SIZE [ALIGN]	allocate; ALIGN is a power of two
 *   r OLD NEW SIZE		resize OLD, whose name is NEW from now on
 *   f NAME			free
 *   # ...			a comment
 *
 * Sizes are in bytes, decimal. A name is a hexadecimal number, the block's address or
 * any other; it is free to be used again as soon as its block is gone.
 */
#ifndef TRACE_H
#define TRACE_H

#include "platform.h"

struct op {
	enum { OP_ALLOC, OP_RESIZE, OP_FREE } kind;
	u32 block;		/* below struct trace's @blocks */
	u32 size;		/* granules, 1 or more; of a free, what the block has */
	u32 align;		/* granules */
};

struct trace {
	struct op *ops;
	u32 count;
	u32 blocks;		/* numbers that stand for names */
	u64 peak_bytes;		/* most that was live at a time, as it was asked for */
	u32 peak_granules;	/* the same, each block rounded up to granules */
	u32 unit;		/* granules: all sizes are multiples */
};

/* Read a file, for a granule of that many bytes; ends the program if it is not a trace. */
struct trace trace_load(const char *path, u32 granule);

#endif /* TRACE_H */
