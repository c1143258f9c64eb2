/* SPDX-License-Identifier: MIT */
/* Questions about memory: what is in it, and whether it can be written. */
#ifndef PROBE_H
#define PROBE_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool all_bytes(const void *memory, size_t length, unsigned char value)
{
	const unsigned char *bytes = memory;

	return !length || (bytes[0] == value && !memcmp(bytes, bytes + 1, length - 1));
}

/*
 * Asked without being killed by the answer: the kernel writes a byte there if it may;
 * where not, it answers EFAULT.
 */
static inline bool can_write(void *address)
{
	int ends[2];
	ssize_t got;

	if (pipe(ends) || write(ends[1], "y", 1) != 1)
		exit(1);
	got = read(ends[0], address, 1);
	if (got != 1 && errno != EFAULT)
		exit(1);
	close(ends[0]);
	close(ends[1]);
	return got == 1;
}

#endif /* PROBE_H */
