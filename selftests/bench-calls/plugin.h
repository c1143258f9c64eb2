/* SPDX-License-Identifier: GPL-2.0-only */
/* What each plugin for QEMU here has: its folder, and the marks of a program in the VM. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include "marks.h"
#include "qemu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int qemu_plugin_version;

static const char *folder;

/* QEMU reads the version after it has run this. */
__attribute__((constructor)) static void choose_version(void)
{
	qemu_plugin_version = qemu_plugin_n_vcpus ? 1 : 2;
}

static inline void must(bool condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

/* False, with a message: the arguments are not the folder alone. */
static inline bool take_folder(int argc, char **argv)
{
	static const char option[] = "folder=";
	const size_t length = sizeof(option) - 1;

	if (argc != 1 || strncmp(argv[0], option, length)) {
		fputs("plugin: its one argument is folder=FOLDER\n", stderr);
		return false;
	}
	/* QEMU frees the arguments. */
	folder = strdup(argv[0] + length);
	must(folder, "plugin");
	return true;
}

static inline FILE *open_file(const char *name, const char *mode)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, mode);
	must(file, path);
	return file;
}

/* A mark: have its number told to @mark_runs whenever it runs. False: the block is none. */
static inline bool watch_mark(struct qemu_plugin_tb *tb, qemu_plugin_executed_t mark_runs)
{
	const uint64_t begin = qemu_plugin_tb_vaddr(tb);

	if (begin < MARK_ADDRESS || begin >= MARK_ADDRESS + MARKS)
		return false;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, mark_runs, QEMU_PLUGIN_CB_NO_REGS,
					     (void *)(uintptr_t)(begin - MARK_ADDRESS));
	return true;
}

#endif /* PLUGIN_H */
