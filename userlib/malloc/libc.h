/* SPDX-License-Identifier: MIT */
/*
 * What the C library keeps in memory of ours, and what its fork() does to that.
 *
 * In the child, before our handler is called, fork() writes to memory that the C library has
 * allocated for itself: fork() resets the locks of open FILEs, and clears other threads' values of
 * keys. At that moment, parent and child still share memory of the device. So what the C library
 * allocates has to be memory of the process, and malloc() has to know whether the C library calls
 * it.
 */
#ifndef LIBC_H
#define LIBC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of this library alone: it is reached without a detour. */
#define HIDDEN	__attribute__((visibility("hidden")))

/* The C library's code; @length is 0 until libc_find(). */
struct libc_code {
	uintptr_t start;
	size_t length;
};

extern struct libc_code libc_code HIDDEN;

/* Find the C library's code: from now on, is_libc() knows it. */
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
 * The lock of the C library's list of FILEs; no header declares these functions. fork() takes the
 * lock after it has called our handler. A thread that has the lock may wait for memory: it
 * allocates a buffer, or waits for the lock of a FILE that is held by a thread that allocates. So
 * this lock comes before the range's. A thread may take it twice.
 */
void _IO_list_lock(void);
void _IO_list_unlock(void);
void _IO_list_resetlock(void);

#endif /* LIBC_H */
