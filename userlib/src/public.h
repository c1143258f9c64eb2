/* SPDX-License-Identifier: MIT */
/* The headers of the library as users have them. All else is hidden by the compiler's options. */
#ifndef PUBLIC_H
#define PUBLIC_H

#pragma GCC visibility push(default)
#include <memalloc.h>
#include <memalloc_heap.h>
#include <memalloc_pool.h>
#include <memalloc_view.h>
#pragma GCC visibility pop

#endif /* PUBLIC_H */
