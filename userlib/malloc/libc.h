/* SPDX-License-Identifier: MIT */
/*
 * What we have to do with the C library's own affairs, because of fork().
 *
 * Whether it is the C library that calls. Its fork() writes, in the child and before we are
 * asked, to what it has allocated for itself: it resets the locks of open FILEs, and clears other
 * threads' values of keys. So nothing of that may be in memory that parent and child share
 * at that moment, as that of the device is.
 */
#ifndef LIBC_H
#define LIBC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of this library alone: it is reached without a detour. */
#define HIDDEN	__attribute__((visibility("hidden")))

/* Its code; no bytes, as long as nobody wants to know. */
struct libc_code {
	uintptr_t start;
	size_t length;
};

extern struct libc_code libc_code HIDDEN;

/* From now on it matters. */
void libc_find(void);

/* Does a call that returns to @address come from the C library? */
static inline bool is_libc(const void *address)
{
	size_t length = __atomic_load_n(&libc_code.length, __ATOMIC_RELAXED);

	if (__builtin_expect(!length, 1))
		return false;
	return (uintptr_t)address - __atomic_load_n(&libc_code.start, __ATOMIC_RELAXED) < length;
}

/*
 * Its lock of its list of FILEs, for which no header has these. fork() takes it after it has asked
 * us. Whoever has it may be waiting for memory: for a buffer, or for the lock of a FILE
 * whose user is. So it comes before ours. A thread may take it twice.
 */
void _IO_list_lock(void);
void _IO_list_unlock(void);
void _IO_list_resetlock(void);

#endif /* LIBC_H */
