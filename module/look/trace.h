/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: /sys/kernel/tracing/events/memalloc/. Places are pages, counted from the
 * beginning of the region. @block is where a block begins, and so identifies the block of a
 * buffer, or of a part that RESIZE adds or cuts off: a page belongs to one block at a time.
 * The event is about the @pages pages of the block from @first on. @length is the bytes that
 * were asked for.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM memalloc

#if !defined(MAL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MAL_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/memalloc.h>

#include "block.h"

DECLARE_EVENT_CLASS(memalloc_buffer,
		    TP_PROTO(const char *region, const struct mal_block *block, u32 first,
			     u32 pages),
		    TP_ARGS(region, block, first, pages),
		    TP_STRUCT__entry(__array(char, region, MEMALLOC_NAME_LEN)
				     __field(u32, block)
				     __field(u32, first)
				     __field(u32, pages)
				     __field(u64, length)),
		    TP_fast_assign(strscpy(__entry->region, region, MEMALLOC_NAME_LEN);
				   /* It may be moved meanwhile. */
				   __entry->block = READ_ONCE(block->first);
				   __entry->first = first;
				   __entry->pages = pages;
				   __entry->length = READ_ONCE(block->length);),
		    TP_printk("region=%s block=%u first=%u pages=%u length=%llu",
			      __entry->region, __entry->block, __entry->first, __entry->pages,
			      __entry->length));

#define MAL_BUFFER_EVENT(name)							\
	DEFINE_EVENT(memalloc_buffer, name,					\
		     TP_PROTO(const char *region, const struct mal_block *block, u32 first, \
			      u32 pages),					\
		     TP_ARGS(region, block, first, pages))

/* A new buffer got its block, or a part that is to make a buffer longer. */
MAL_BUFFER_EVENT(memalloc_alloc);

/* Pages of a buffer without users, or of a buffer in quarantine, are about to be freed. */
MAL_BUFFER_EVENT(memalloc_free);

/* A program mapped pages of a buffer. */
MAL_BUFFER_EVENT(memalloc_map);

/* A buffer got a new dma-buf. */
MAL_BUFFER_EVENT(memalloc_export);

/* The last user of a buffer is gone; its pages stay out of use until nothing holds them. */
MAL_BUFFER_EVENT(memalloc_quarantine);

/* A buffer was moved. @first is where it was. */
MAL_BUFFER_EVENT(memalloc_move);

/* A move of a buffer was tried, and not done: why, see enum mal_stay. */
TRACE_EVENT(memalloc_stay,
	    TP_PROTO(const char *region, const struct mal_block *block, int reason),
	    TP_ARGS(region, block, reason),
	    TP_STRUCT__entry(__array(char, region, MEMALLOC_NAME_LEN)
			     __field(u32, block)
			     __field(u32, pages)
			     __field(u64, length)
			     __field(int, reason)),
	    TP_fast_assign(strscpy(__entry->region, region, MEMALLOC_NAME_LEN);
			   __entry->block = block->first;
			   __entry->pages = block->granules;
			   __entry->length = block->length;
			   __entry->reason = reason;),
	    TP_printk("region=%s block=%u pages=%u length=%llu reason=%s", __entry->region,
		      __entry->block, __entry->pages, __entry->length,
		      __print_symbolic(__entry->reason, { 1, "held" }, { 2, "mapped" },
				       { 3, "disclosed" }, { 4, "huge" }, { 5, "no_room" },
				       { 6, "no_memory" }, { 7, "going" })));

/*
 * A page fault has waited for @ns nanoseconds, for a move of the buffer or for RESIZE. @user: a
 * program's instruction caused the fault; else, the kernel touched the buffer for the program, as
 * direct I/O does.
 */
TRACE_EVENT(memalloc_wait,
	    TP_PROTO(const char *region, const struct mal_block *block, u64 ns, bool user),
	    TP_ARGS(region, block, ns, user),
	    TP_STRUCT__entry(__array(char, region, MEMALLOC_NAME_LEN)
			     __field(u32, block)
			     __field(u32, pages)
			     __field(u64, length)
			     __field(u64, ns)
			     __field(bool, user)),
	    TP_fast_assign(strscpy(__entry->region, region, MEMALLOC_NAME_LEN);
			   __entry->block = block->first;
			   __entry->pages = block->granules;
			   __entry->length = block->length;
			   __entry->ns = ns;
			   __entry->user = user;),
	    TP_printk("region=%s block=%u pages=%u length=%llu ns=%llu user=%d", __entry->region,
		      __entry->block, __entry->pages, __entry->length, __entry->ns,
		      __entry->user));

/*
 * An allocation of @length bytes failed with @error, a negative errno. @length is 0 if a batch
 * of allocations failed and no single one is to blame.
 */
TRACE_EVENT(memalloc_failure,
	    TP_PROTO(const char *region, u64 length, int error),
	    TP_ARGS(region, length, error),
	    TP_STRUCT__entry(__array(char, region, MEMALLOC_NAME_LEN)
			     __field(u64, length)
			     __field(int, error)),
	    TP_fast_assign(strscpy(__entry->region, region, MEMALLOC_NAME_LEN);
			   __entry->length = length;
			   __entry->error = error;),
	    TP_printk("region=%s length=%llu error=%d", __entry->region, __entry->length,
		      __entry->error));

#endif /* MAL_TRACE_H */

/* Relative to module/, which Kbuild adds to the include path. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH look
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
