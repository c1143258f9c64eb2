// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records what a program asks of malloc, as a trace (see trace.h). Preloaded into it:
 *
 *   RECORD=DIR LD_PRELOAD=.../record.so PROGRAM
 *
 * leaves DIR/NAME.PID.trace for PROGRAM and for each program that it starts. The order of
 * the lines is the order in which glibc's malloc, which does the work, was called: a lock
 * is held from before the call until its line is written.
 *
 * No descriptor is kept open, lest the program close it or take it for its own. A program
 * that ends without its exit handlers loses its last lines, but never half a line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What glibc's malloc is called by one that takes its place. */
__typeof__(malloc) __libc_malloc;
__typeof__(realloc) __libc_realloc;
__typeof__(calloc) __libc_calloc;
__typeof__(memalign) __libc_memalign;
__typeof__(free) __libc_free;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[1 << 16];
static size_t filled;
static int off;		/* a fork: its parent records what both share */
static int ending;	/* the exit handlers run: anything may be the last line */

static void flush(void)
{
	const char *folder = getenv("RECORD");
	char path[4096];
	int file;

	if (!filled || !folder)
		return;
	snprintf(path, sizeof(path), "%s/%s.%d.trace", folder,
		 program_invocation_short_name, getpid());
	file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (file < 0 || write(file, lines, filled) != (ssize_t)filled) {
		static const char message[] = "record: a trace cannot be written\n";

		if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
			off = 1;
		off = 1;
	}
	if (file >= 0)
		close(file);
	filled = 0;
}

/* The caller holds the lock, and its errno is the program's. */
__attribute__((format(printf, 1, 2)))
static void record(const char *format, ...)
{
	int saved = errno;
	va_list arguments;

	if (off)
		return;
	if (sizeof(lines) - filled < 128)
		flush();
	va_start(arguments, format);
	filled += vsnprintf(lines + filled, sizeof(lines) - filled, format, arguments);
	va_end(arguments);
	if (ending)
		flush();
	errno = saved;
}

static unsigned long name_of(const void *block)
{
	return (unsigned long)block;
}

void *malloc(size_t size)
{
	void *block;

	pthread_mutex_lock(&lock);
	block = __libc_malloc(size);
	if (block)
		record("a %lx %zu\n", name_of(block), size);
	pthread_mutex_unlock(&lock);
	return block;
}

void *calloc(size_t count, size_t size)
{
	void *block;

	pthread_mutex_lock(&lock);
	block = __libc_calloc(count, size);
	if (block)
		record("a %lx %zu\n", name_of(block), count * size);
	pthread_mutex_unlock(&lock);
	return block;
}

void *realloc(void *old, size_t size)
{
	unsigned long old_name = name_of(old);
	void *block;

	if (!old)
		return malloc(size);
	pthread_mutex_lock(&lock);
	block = __libc_realloc(old, size);
	if (block)
		record("r %lx %lx %zu\n", old_name, name_of(block), size);
	else if (!size)
		record("f %lx\n", old_name);
	pthread_mutex_unlock(&lock);
	return block;
}

void free(void *block)
{
	if (!block)
		return;
	pthread_mutex_lock(&lock);
	record("f %lx\n", name_of(block));
	__libc_free(block);
	pthread_mutex_unlock(&lock);
}

void *memalign(size_t align, size_t size)
{
	void *block;

	pthread_mutex_lock(&lock);
	block = __libc_memalign(align, size);
	if (block)
		record("a %lx %zu %zu\n", name_of(block), size, align);
	pthread_mutex_unlock(&lock);
	return block;
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

void *valloc(size_t size)
{
	return memalign(sysconf(_SC_PAGESIZE), size);
}

int posix_memalign(void **block, size_t align, size_t size)
{
	int saved = errno, err = EINVAL;

	if (align && !(align & (align - 1)) && !(align % sizeof(void *))) {
		void *found = memalign(align, size);

		errno = saved;
		err = found ? 0 : ENOMEM;
		if (found)
			*block = found;
	}
	return err;
}

/* A fork in the middle of another thread's call would leave the child with a lock for ever. */
static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	off = 1;
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor))
static void begin(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

__attribute__((destructor))
static void end(void)
{
	pthread_mutex_lock(&lock);
	ending = 1;
	if (!off)
		flush();
	pthread_mutex_unlock(&lock);
}
