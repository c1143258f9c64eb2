// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: loads or unloads a module for boots/, and tells in one word what the
 * kernel answered: OK or the name of the errno. The usual tools put it in words
 * of their own.
 *
 *   kmod load FILE [PARAMETER=VALUE]...
 *   kmod unload NAME
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long load(int argc, char **argv)
{
	char parameters[1024] = "";
	int i, fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	for (i = 1; i < argc; i++) {
		if (strlen(parameters) + strlen(argv[i]) + 2 > sizeof(parameters)) {
			errno = E2BIG;
			return -1;
		}
		strcat(parameters, argv[i]);
		strcat(parameters, " ");
	}
	return syscall(SYS_finit_module, fd, parameters, 0);
}

int main(int argc, char **argv)
{
	long ret;

	if (argc >= 3 && !strcmp(argv[1], "load")) {
		ret = load(argc - 2, argv + 2);
	} else if (argc == 3 && !strcmp(argv[1], "unload")) {
		ret = syscall(SYS_delete_module, argv[2], O_NONBLOCK);
	} else {
		fprintf(stderr, "usage: kmod load FILE [PARAMETER=VALUE]... | unload NAME\n");
		return 2;
	}
	puts(ret ? strerrorname_np(errno) : "OK");
	return ret != 0;
}
