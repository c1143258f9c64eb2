/* SPDX-License-Identifier: MIT */
/* Results in the Test Anything Protocol, just enough for one C program. */
#ifndef TAP_H
#define TAP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value of errno that no call sets. */
#define UNTOUCHED	12345

static unsigned int tap_count, tap_failed;

static inline bool tap_result(bool good, const char *name)
{
	printf("%sok %u %s\n", good ? "" : "not ", ++tap_count, name);
	fflush(stdout);
	tap_failed += !good;
	return good;
}

/* A test: @good says whether it passed. */
#define ok(good, name) tap_result(good, name)

/* A test: the two numbers are the same; shows them if not. */
static inline bool is(int64_t got, int64_t wanted, const char *name)
{
	if (got != wanted)
		printf("# got %" PRId64 ", wanted %" PRId64 "\n", got, wanted);
	return tap_result(got == wanted, name);
}

/* What every test stands on; without it there is nothing to test. */
static inline void need(int err, const char *what)
{
	if (err >= 0)
		return;
	printf("Bail out! %s: %s\n", what, strerror(-err));
	exit(1);
}

/* The plan, and the program's exit status. */
static inline int tap_done(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif /* TAP_H */
