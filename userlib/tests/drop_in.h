/* SPDX-License-Identifier: MIT */
/* What tests of the drop-in malloc share. */
#ifndef DROP_IN_H
#define DROP_IN_H

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "tap.h"

#define KIB	((size_t)1024)
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)

/* The same pointer, of which the compiler does not know that. */
static inline void *hidden(void *p)
{
	asm volatile("" : "+r"(p) : : "memory");
	return p;
}

static inline bool is_aligned(const void *p, size_t align)
{
	return p && (uintptr_t)p % align == 0;
}

/* Did the call answer as if there were no memory? */
static inline bool refused(void *p)
{
	bool good = !p && errno == ENOMEM;

	errno = 0;
	return good;
}

static inline void *free_it(void *p)
{
	free(p);
	return NULL;
}

/* A part of a test that runs in a process of its own: 0 if it could do what it should. */
struct part {
	const char *name;
	int (*run)(void);
};

/* The part of that name, among those up to one without a name. */
static inline int run_part(const struct part *parts, const char *name)
{
	for (; parts->name; parts++)
		if (!strcmp(name, parts->name))
			return parts->run();
	return 1;
}

/* This program again, with a limit, for the part @what: its exit status. */
static inline int with_limit(int resource, size_t bytes, const char *what)
{
	struct rlimit limit = { bytes, bytes };
	pid_t child = fork();
	int status;

	if (!child) {
		setrlimit(resource, &limit);
		execl("/proc/self/exe", "malloc", what, NULL);
		_exit(100);
	}
	waitpid(child, &status, 0);
	return status;
}

#endif /* DROP_IN_H */
