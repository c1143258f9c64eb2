// SPDX-License-Identifier: MIT
/* The last words of a program that misuses malloc(). See message.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

void die(const char *call, const void *pointer, const char *what)
{
	uintptr_t rest = (uintptr_t)pointer;
	char number[2 * sizeof(rest) + 1];
	char *digit = number + sizeof(number) - 1;
	char line[160] = "memalloc: ";
	ssize_t said;

	*digit = 0;
	do {
		digit--;
		*digit = "0123456789abcdef"[rest % 16];
		rest /= 16;
	} while (rest);
	strcat(line, call);
	strcat(line, "(0x");
	strcat(line, digit);
	strcat(line, "): ");
	strcat(line, what);
	strcat(line, "\n");
	said = write(STDERR_FILENO, line, strlen(line));
	(void)said;	/* nobody is left to tell */
	abort();
}
