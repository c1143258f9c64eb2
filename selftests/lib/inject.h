/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the kernel fail on demand: the n-th place of this thread's next calls at
 * which it takes memory or copies from or to userspace. That alone; or, in a
 * burst, also the next few places that take memory, so that what is tried
 * a second time fails again. It takes a kernel with CONFIG_FAULT_INJECTION.
 */
#ifndef INJECT_H
#define INJECT_H

#include "memalloc_test.h"

#include <sys/rseq.h>
#include <sys/syscall.h>

#define DEBUGFS		"/sys/kernel/debug/"
#define BURST		20
#define CAN_NOT_INJECT	"this kernel has no /proc/thread-self/fail-nth"

struct injector {
	int nth;		/* /proc/thread-self/fail-nth */
	int burst;		/* /proc/thread-self/make-it-fail */
	int slab_times;		/* how many failures a burst has left */
	int page_times;
};

static inline int write_number(int fd, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Whether this kernel can do so. Asked in each test: one whose setup skips is run all the same. */
static inline bool can_inject(void)
{
	return !access("/proc/thread-self/fail-nth", F_OK);
}

/*
 * After a fork, a thread's restartable sequence lies in a page that is copied when it is written
 * to. The kernel writes there whenever it has preempted the thread, and kills it if that fails.
 */
static inline int end_restartable_sequence(void)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	if (!__rseq_size)
		return 0;
	return syscall(SYS_rseq, area, sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG) ?
		       -errno : 0;
}

/* Once in a process. 0 or a negative errno. */
static inline int injector_open(struct injector *injector)
{
	/* Failures are not logged: a stack trace in the log is to be one that somebody means. */
	static const char *const settings[][2] = {
		{ "failslab/verbose", "0" },
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/task-filter", "Y" },
		{ "failslab/probability", "100" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/task-filter", "Y" },
		{ "fail_page_alloc/probability", "100" },
		{ "fail_usercopy/verbose", "0" },
		{ "fail_usercopy/probability", "0" },
	};
	char path[64];
	size_t i;

	/* Each processor has its own store of small pieces, and fills it up now and then. */
	if (run_on(0) || end_restartable_sequence())
		return -errno;
	injector->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	injector->burst = open("/proc/thread-self/make-it-fail", O_RDWR | O_CLOEXEC);
	injector->slab_times = open(DEBUGFS "failslab/times", O_RDWR | O_CLOEXEC);
	injector->page_times = open(DEBUGFS "fail_page_alloc/times", O_RDWR | O_CLOEXEC);
	if (injector->nth < 0 || injector->burst < 0 || injector->slab_times < 0 ||
	    injector->page_times < 0)
		return -EIO;
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s", settings[i][0]);
		if (write_file(path, settings[i][1]))
			return -EIO;
	}
	return 0;
}

/* From here on the @n-th place fails. */
static inline void inject(const struct injector *injector, unsigned int n, bool burst)
{
	if (burst) {
		write_number(injector->slab_times, BURST);
		write_number(injector->page_times, BURST);
	}
	/* Last, as the other one copies, too. Until then nothing here takes memory. */
	write_number(injector->burst, burst);
	write_number(injector->nth, n);
}

/* No more failures. How many places were left to the n-th: 0 if it was reached. */
static inline unsigned int inject_end(const struct injector *injector)
{
	char left[16] = "";

	/* Reading it copies, too, and may itself be the n-th place. */
	if (pread(injector->nth, left, sizeof(left) - 1, 0) < 0)
		strcpy(left, "1");
	write_number(injector->nth, 0);
	write_number(injector->burst, 0);
	return atoi(left);
}

#endif /* INJECT_H */
