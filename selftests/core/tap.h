/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Native tests that speak TAP. A program is a table of named tests and
 *
 *	int main(void)
 *	{
 *		return TAP_RUN(tests);
 *	}
 *
 * The first EXPECT that does not hold says where and why, and ends its test.
 */
#ifndef TAP_H
#define TAP_H

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

struct tap_test {
	const char *name;
	void (*run)(void);
};

static jmp_buf tap_end;

#define EXPECT(holds) \
	EXPECT_OR(holds, "expected %s", #holds)

/* With a text of its own for what went wrong. */
#define EXPECT_OR(holds, ...)					\
do {								\
	if (!(holds)) {						\
		printf("# %s:%d: ", __FILE__, __LINE__);	\
		printf(__VA_ARGS__);				\
		printf("\n");					\
		longjmp(tap_end, 1);				\
	}							\
} while (0)

static inline int tap_run(const struct tap_test *tests, size_t count)
{
	static size_t i, failed;	/* not on the stack, for longjmp() */

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%zu\n", count);
	for (i = 0; i < count; i++) {
		if (!setjmp(tap_end)) {
			tests[i].run();
			printf("ok %zu %s\n", i + 1, tests[i].name);
		} else {
			failed++;
			printf("not ok %zu %s\n", i + 1, tests[i].name);
		}
	}
	return failed > 0;
}

#define TAP_RUN(tests)	tap_run(tests, sizeof(tests) / sizeof(struct tap_test))

#endif /* TAP_H */
