/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: /sys/kernel/tracing/events/memalloc/. Places are pages from where the region
 * begins. A page belongs to one buffer at a time: @block, where its block begins, says
 * which one; @first and @pages are what of it the event is about, and @length the bytes
 * that it was asked for.
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
				   __entry->block = block->first;
				   __entry->first = first;
				   __entry->pages = pages;
				   __entry->length = block->length;),
		    TP_printk("region=%s block=%u first=%u pages=%u length=%llu",
			      __entry->region, __entry->block, __entry->first, __entry->pages,
			      __entry->length));

#define MAL_BUFFER_EVENT(name)							\
	DEFINE_EVENT(memalloc_buffer, name,					\
		     TP_PROTO(const char *region, const struct mal_block *block, u32 first, \
			      u32 pages),					\
		     TP_ARGS(region, block, first, pages))

/* A new buffer has a block. */
MAL_BUFFER_EVENT(memalloc_alloc);

/* Pages are about to be free: those of a buffer without users, or of one in quarantine. */
MAL_BUFFER_EVENT(memalloc_free);

/* A mapping into a program. */
MAL_BUFFER_EVENT(memalloc_map);

/* A new dma-buf. */
MAL_BUFFER_EVENT(memalloc_export);

/* The last user is gone; pages stay out of use until nothing holds them. */
MAL_BUFFER_EVENT(memalloc_quarantine);

/*
 * Somebody who asked for a buffer of @length got @error, a negative errno, instead. 0: for
 * a batch of them, and no one of these is to blame.
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

/* From module/, which Kbuild has the compiler look in. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH look
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
