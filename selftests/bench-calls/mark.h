/* SPDX-License-Identifier: GPL-2.0-only */
/* For programs in the VM: how they call the marks of marks.h. */
#ifndef MARK_H
#define MARK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* programs' headers want it, and this one may come first */
#endif

#include "bench-calls/marks.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

static inline void call_mark(enum mark mark)
{
	((void (*)(void))(MARK_ADDRESS + mark))();
}

/* Make code for the marks: instructions that return, of x86. */
static inline bool make_marks(void)
{
	const size_t page_size = sysconf(_SC_PAGESIZE);
	void *page = mmap((void *)MARK_ADDRESS, page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (page != (void *)MARK_ADDRESS)
		return false;
	memset(page, 0xc3, MARKS);
	return !mprotect(page, page_size, PROT_READ | PROT_EXEC);
}

#endif /* MARK_H */
