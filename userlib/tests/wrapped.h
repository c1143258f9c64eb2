/* SPDX-License-Identifier: MIT */
/* The calls that failures.c stands in front of, as the linker names them. */
#ifndef WRAPPED_H
#define WRAPPED_H

#include <search.h>
#include <stddef.h>
#include <sys/types.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_tsearch(const void *key, void **root, comparison_fn_t compare);
int __real_memfd_create(const char *name, unsigned int flags);
void *__real_mmap64(void *address, size_t length, int protection, int flags, int fd,
		    off64_t offset);
void *__real_mremap(void *old, size_t old_length, size_t length, int flags, void *address);
int __real_ftruncate64(int fd, off64_t length);
int __real_fallocate64(int fd, int mode, off64_t offset, off64_t length);

#endif /* WRAPPED_H */
