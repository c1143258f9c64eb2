/* SPDX-License-Identifier: MIT */
/* The last words of a program that misuses malloc(). */
#ifndef MESSAGE_H
#define MESSAGE_H

/* Say "memalloc: @call(@pointer): @what" on standard error, and abort(). Takes no memory. */
__attribute__((noreturn, cold)) void die(const char *call, const void *pointer, const char *what);

#endif /* MESSAGE_H */
