// SPDX-License-Identifier: MIT
/* Where the C library's code is. See libc.h. */
#include <gnu/libc-version.h>
#include <link.h>

#include "libc.h"

struct libc_code libc_code;

/* Is it the C library? Its code has this function, of which no program has a copy. */
static int find_code(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t function = (uintptr_t)gnu_get_libc_version;
	uintptr_t start;
	size_t length;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		length = info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type == PT_LOAD && function - start < length) {
			__atomic_store_n(&libc_code.start, start, __ATOMIC_RELAXED);
			__atomic_store_n(&libc_code.length, length, __ATOMIC_RELAXED);
			return 1;
		}
	}
	(void)size;
	(void)data;
	return 0;
}

void libc_find(void)
{
	/* Not again in a child: another thread may have had the loader's lock at the fork. */
	if (!libc_code.length)
		dl_iterate_phdr(find_code, NULL);
}
