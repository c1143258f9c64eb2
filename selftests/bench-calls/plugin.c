// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's translator, which records what runs in the VM between the marks of a program
 * there (marks.h). scripts/profile-calls builds it and boots with it; profile.py reads what it
 * writes. It changes nothing in the VM, where no instruction more is run or counted.
 *
 * QEMU translates blocks of instructions, which end with a jump at the latest, and tells of each
 * that is about to run. Its argument folder= is where these are written to:
 *
 *   trace   32-bit numbers, in the order of events: MARK_OPERATION, MARK_ROUND, or a block
 *   blocks  a line for each block that is in the trace: its number, its first address and the one
 *           behind it, both hexadecimal, and how many instructions it has
 *
 * Of a block that a fault interrupts, all instructions are counted, and those from the faulting one
 * on again in the block that QEMU makes of them afterwards.
 *
 * The VM has one processor, as with -icount, so no two calls are made at a time.
 */
#include "marks.h"
#include "qemu.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
	uint64_t begin;
	uint64_t end;
	size_t instructions;
	uint32_t number;	/* 0: not in the trace so far */
};

int qemu_plugin_version;

static FILE *trace, *blocks;
static uint32_t last_number = MARKS;
static bool recording;

/* QEMU reads the version after it has run this. */
__attribute__((constructor)) static void choose_version(void)
{
	qemu_plugin_version = qemu_plugin_n_vcpus ? 1 : 2;
}

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

static void write_event(uint32_t event)
{
	must(fwrite(&event, sizeof(event), 1, trace) == 1, "trace");
}

static void name_block(struct block *block)
{
	block->number = ++last_number;
	must(fprintf(blocks, "%u %" PRIx64 " %" PRIx64 " %zu\n", block->number, block->begin,
		     block->end, block->instructions) > 0, "blocks");
}

static void block_runs(unsigned int cpu, void *data)
{
	struct block *block = data;

	(void)cpu;
	if (!recording)
		return;
	if (!block->number)
		name_block(block);
	write_event(block->number);
}

static void mark_runs(unsigned int cpu, void *data)
{
	const enum mark mark = (uintptr_t)data;

	(void)cpu;
	recording = mark == MARK_ON;
	if (mark == MARK_OPERATION || mark == MARK_ROUND)
		write_event(mark);
}

/* QEMU may translate the same instructions several times: these are several blocks here. */
static void is_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const uint64_t begin = qemu_plugin_tb_vaddr(tb);
	const size_t instructions = qemu_plugin_tb_n_insns(tb);
	const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, instructions - 1);
	struct block *block;

	(void)id;
	if (begin >= MARK_ADDRESS && begin < MARK_ADDRESS + MARKS) {
		qemu_plugin_register_vcpu_tb_exec_cb(tb, mark_runs, QEMU_PLUGIN_CB_NO_REGS,
						     (void *)(uintptr_t)(begin - MARK_ADDRESS));
		return;
	}
	/* Never freed: QEMU does not say when it forgets a block. */
	block = calloc(1, sizeof(*block));
	must(block, "plugin");
	block->begin = begin;
	block->end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
	block->instructions = instructions;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void vm_ends(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	must(!fclose(trace) && !fclose(blocks), "plugin");
}

static FILE *open_file(const char *folder, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	must(file, path);
	return file;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	static const char option[] = "folder=";
	const size_t length = sizeof(option) - 1;

	(void)info;
	if (argc != 1 || strncmp(argv[0], option, length)) {
		fputs("plugin: its one argument is folder=FOLDER\n", stderr);
		return 1;
	}
	trace = open_file(argv[0] + length, "trace");
	blocks = open_file(argv[0] + length, "blocks");
	qemu_plugin_register_vcpu_tb_trans_cb(id, is_translated);
	qemu_plugin_register_atexit_cb(id, vm_ends, NULL);
	return 0;
}
