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
#include "plugin.h"

#include <inttypes.h>

struct block {
	uint64_t begin;
	uint64_t end;
	size_t instructions;
	uint32_t number;	/* 0: not in the trace so far */
};

static FILE *trace, *blocks;
static uint32_t last_number = MARKS;
static bool recording;

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
	if (watch_mark(tb, mark_runs))
		return;
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

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (!take_folder(argc, argv))
		return 1;
	trace = open_file("trace", "w");
	blocks = open_file("blocks", "w");
	qemu_plugin_register_vcpu_tb_trans_cb(id, is_translated);
	qemu_plugin_register_atexit_cb(id, vm_ends, NULL);
	return 0;
}
