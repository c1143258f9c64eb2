/* SPDX-License-Identifier: MIT */
/* Whether memory can be written, asked without being killed by the answer. */
#ifndef PROBE_H
#define PROBE_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel writes a byte there if it may; where not, it answers EFAULT. */
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
