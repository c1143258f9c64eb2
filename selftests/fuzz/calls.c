// SPDX-License-Identifier: GPL-2.0-only
/*
 * All calls that the fuzzer makes. Where several things are wrong in one, any of their errors may
 * come: the header does not say which is first.
 *
 * Errors that are not provoked here: ENOMEM for want of the kernel's own memory (failures.c does
 * that), and EINTR of those calls that only a fatal signal interrupts, as nobody sees it.
 */
#include "fuzz.h"

const struct call_type *const call_types[] = {
	&call_info,
	&call_nocall,
	&call_alloc,
	&call_free,
	&call_query,
	&call_stats,
	&call_layout,
	&call_export,
	&call_import,
	&call_limits,
	&call_release,
	&call_sync,
	&call_heap,
	&call_mmap,
	&call_munmap,
	&call_mprotect,
	&call_access,
	&call_close_dmabuf,
	&call_turn,
	&call_fdinfo,
	&call_fit,
	&call_resize,
	&call_name,
	&call_alloc_batch,
	&call_free_batch,
	&call_compact,
	&call_translate,
};

const unsigned int call_types_count = ARRAY_SIZE(call_types);
