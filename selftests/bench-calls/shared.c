// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's translator, which counts what each CPU of the VM does in the module's calls,
 * between the marks of a program there (marks.h). scripts/count-shared builds it and boots with
 * it; shared.py reads what it writes. It changes nothing in the VM.
 *
 * A CPU is in a call from the beginning of mal_ioctl() until code of its caller, or of a program,
 * runs. After an interrupt or a change of tasks, it is so again only when code of the module uses
 * the call's stack: a worker of the kernel may run such code, too.
 *
 * Its argument folder= is where the VM puts /proc/kallsyms, which is read at the first mark, and
 * where the file `counts` is written to. A line of it has what was counted, the CPU's number, how
 * often that was, and three hexadecimal addresses. Tabs separate these.
 *
 *   run    SITE BLOCK FROM: a block of instructions ran that begins at BLOCK. If it is of the
 *          module, SITE is the same, else it is the block of the module that has called it. FROM
 *          is SITE if that ran just before, else 0
 *   write  CODE PLACE ADDRESS: the instruction at CODE wrote to the physical address PLACE, of
 *          which ADDRESS is the virtual one
 *   read   likewise, if it only read
 */
#include "plugin.h"

#include <inttypes.h>
#include <string.h>

#define KERNEL		(1ULL << 63)
#define PAGE		4096ULL
#define STACK		(4 * PAGE)	/* a task's in the kernel, aligned to that */
#define CPUS		64
#define PAUSES		512

enum kind {
	KIND_UNKNOWN,		/* so far */
	KIND_ENTER,		/* the first of the call, and one of the module */
	KIND_MODULE,
	KIND_LEAVE,		/* of the caller, or a program's */
	KIND_PAUSE,		/* interrupts, and the scheduler */
	KIND_OTHER,
};

struct block {
	uint64_t begin;
	enum kind kind;
};

/* What is counted, and how often it was. */
struct counter {
	uint64_t key[3];
	uint64_t count;		/* 0: unused */
};

/* A hash table, which is at most half full. */
struct counters {
	struct counter *slots;
	size_t size;		/* a power of two */
	size_t used;
};

/* Only the CPU's own thread uses it, until the VM ends. */
struct cpu {
	bool is_in_call;
	bool is_paused;
	uint64_t stack;		/* its number, of the call; 0: not known so far */
	const struct block *now;	/* runs, counted or not */
	const struct block *before;	/* the last one that was counted */
	const struct block *site;	/* the last one of the module */
	struct counters runs;
	struct counters reads;
	struct counters writes;
} __attribute__((aligned(64)));

struct range {
	uint64_t begin;
	uint64_t end;
};

static struct cpu cpus[CPUS];
static bool recording;

/*
 * Addresses in the kernel: where the call begins, the code of the module and of the call's caller,
 * and where interrupts and the scheduler begin.
 */
static uint64_t enter;
static struct range module, caller;
static uint64_t pauses[PAUSES];
static size_t n_pauses;

/* The counter with that key, or an unused one. */
static struct counter *find(const struct counters *counters, const uint64_t *key)
{
	const uint64_t mixed = (key[0] * 31 + key[1]) * 0x9e3779b97f4a7c15ULL;
	size_t i = mixed >> 32;

	for (;; i++) {
		struct counter *counter = &counters->slots[i & (counters->size - 1)];

		if (!counter->count || !memcmp(counter->key, key, sizeof(counter->key)))
			return counter;
	}
}

static void grow(struct counters *counters)
{
	const struct counters old = *counters;
	size_t i;

	counters->size = old.size ? 2 * old.size : 1 << 12;
	counters->slots = calloc(counters->size, sizeof(*counters->slots));
	must(counters->slots, "shared");
	for (i = 0; i < old.size; i++)
		if (old.slots[i].count)
			*find(counters, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

static void count(struct counters *counters, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t key[] = { a, b, c };
	struct counter *counter;

	if (2 * counters->used >= counters->size)
		grow(counters);
	counter = find(counters, key);
	if (!counter->count) {
		memcpy(counter->key, key, sizeof(key));
		counters->used++;
	}
	counter->count++;
}

static bool is_pause(const char *name)
{
	return !strncmp(name, "asm_sysvec_", 11) || !strncmp(name, "asm_exc_", 8) ||
	       !strcmp(name, "asm_common_interrupt") || !strcmp(name, "__schedule");
}

/* The names in the list are not sorted. False: it has no more. */
static bool next_function(FILE *file, uint64_t *address, char *name, bool *is_of_module)
{
	char line[1024], type, of[64];

	while (fgets(line, sizeof(line), file)) {
		const int n = sscanf(line, "%" SCNx64 " %c %511s %63s", address, &type, name, of);

		*is_of_module = n == 4 && !strcmp(of, "[memalloc]");
		if (n >= 3 && strchr("tTwW", type))
			return true;
	}
	return false;
}

static void read_functions(void)
{
	FILE *file = open_file("kallsyms", "r");
	bool is_of_module;
	uint64_t address;
	char name[512];

	module.begin = UINT64_MAX;
	while (next_function(file, &address, name, &is_of_module)) {
		if (is_of_module && address < module.begin)
			module.begin = address;
		if (is_of_module && address >= module.end)
			module.end = (address | (PAGE - 1)) + 1;
		if (is_of_module && !strcmp(name, "mal_ioctl"))
			enter = address;
		if (!strcmp(name, "__x64_sys_ioctl"))
			caller.begin = address;
		if (is_pause(name) && n_pauses < PAUSES)
			pauses[n_pauses++] = address;
	}
	caller.end = UINT64_MAX;
	rewind(file);
	while (next_function(file, &address, name, &is_of_module))
		if (address > caller.begin && address < caller.end)
			caller.end = address;
	fclose(file);
	must(enter && caller.begin, "kallsyms");
}

static bool contains(const struct range *range, uint64_t address)
{
	return address >= range->begin && address < range->end;
}

static enum kind classify(uint64_t begin)
{
	size_t i;

	if (begin == enter)
		return KIND_ENTER;
	if (contains(&module, begin))
		return KIND_MODULE;
	if (begin < KERNEL || contains(&caller, begin))
		return KIND_LEAVE;
	for (i = 0; i < n_pauses; i++)
		if (begin == pauses[i])
			return KIND_PAUSE;
	return KIND_OTHER;
}

/* Other CPUs may do the same. */
static enum kind kind_of(struct block *block)
{
	enum kind kind = __atomic_load_n(&block->kind, __ATOMIC_RELAXED);

	if (kind == KIND_UNKNOWN) {
		kind = classify(block->begin);
		__atomic_store_n(&block->kind, kind, __ATOMIC_RELAXED);
	}
	return kind;
}

/* Recording, and counting what this CPU does. */
static bool is_counted(const struct cpu *cpu)
{
	return cpu->is_in_call && !cpu->is_paused &&
	       __atomic_load_n(&recording, __ATOMIC_RELAXED);
}

static void block_runs(unsigned int number, void *data)
{
	struct block *block = data;
	struct cpu *cpu = &cpus[number];
	enum kind kind;

	if (!__atomic_load_n(&recording, __ATOMIC_ACQUIRE))
		return;
	cpu->now = block;
	kind = kind_of(block);
	if (kind == KIND_ENTER) {
		cpu->is_in_call = true;
		cpu->is_paused = false;
		cpu->stack = 0;
	} else if (kind == KIND_LEAVE) {
		cpu->is_in_call = false;
	} else if (kind == KIND_PAUSE) {
		cpu->is_paused = true;
	}
	if (!is_counted(cpu))
		return;
	if (kind != KIND_OTHER)
		cpu->site = block;
	count(&cpu->runs, cpu->site->begin, block->begin,
	      cpu->before == cpu->site ? cpu->site->begin : 0);
	cpu->before = block;
}

/* The first that a call writes to is its stack. */
static void look_at_stack(struct cpu *cpu, uint64_t address, uint64_t code, bool is_write)
{
	if (!cpu->stack && is_write)
		cpu->stack = address / STACK;
	if (cpu->is_paused && contains(&module, code) && address / STACK == cpu->stack) {
		cpu->is_paused = false;
		cpu->site = cpu->now;
		cpu->before = cpu->now;
	}
}

static void memory_is_used(unsigned int number, uint32_t info, uint64_t address, void *data)
{
	const uint64_t code = (uintptr_t)data;
	const bool is_write = qemu_plugin_mem_is_store(info);
	struct cpu *cpu = &cpus[number];
	const struct qemu_plugin_hwaddr *place;

	if (!cpu->is_in_call)
		return;
	look_at_stack(cpu, address, code, is_write);
	if (!is_counted(cpu))
		return;
	place = qemu_plugin_get_hwaddr(info, address);
	if (place)
		count(is_write ? &cpu->writes : &cpu->reads, code,
		      qemu_plugin_hwaddr_phys_addr(place), address);
}

static void mark_runs(unsigned int number, void *data)
{
	const enum mark mark = (uintptr_t)data;

	(void)number;
	if (mark == MARK_ON)
		read_functions();
	__atomic_store_n(&recording, mark == MARK_ON, __ATOMIC_RELEASE);
}

/* QEMU may translate the same instructions several times: these are several blocks here. */
static void is_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const uint64_t begin = qemu_plugin_tb_vaddr(tb);
	struct block *block;
	size_t i;

	(void)id;
	if (watch_mark(tb, mark_runs))
		return;
	/* Never freed: QEMU does not say when it forgets a block. */
	block = calloc(1, sizeof(*block));
	must(block, "shared");
	block->begin = begin;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, QEMU_PLUGIN_CB_NO_REGS, block);
	if (begin < KERNEL)
		return;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		void *code = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);

		qemu_plugin_register_vcpu_mem_cb(insn, memory_is_used, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, code);
	}
}

static void write_counts(FILE *file, const char *what, int cpu,
			 const struct counters *counters)
{
	size_t i;

	for (i = 0; i < counters->size; i++) {
		const struct counter *counter = &counters->slots[i];

		if (counter->count)
			fprintf(file,
				"%s\t%d\t%" PRIu64 "\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\n",
				what, cpu, counter->count, counter->key[0], counter->key[1],
				counter->key[2]);
	}
}

static void vm_ends(qemu_plugin_id_t id, void *data)
{
	FILE *file = open_file("counts", "w");
	int cpu;

	(void)id;
	(void)data;
	for (cpu = 0; cpu < CPUS; cpu++) {
		write_counts(file, "run", cpu, &cpus[cpu].runs);
		write_counts(file, "read", cpu, &cpus[cpu].reads);
		write_counts(file, "write", cpu, &cpus[cpu].writes);
	}
	must(!fclose(file), "counts");
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (!take_folder(argc, argv))
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, is_translated);
	qemu_plugin_register_atexit_cb(id, vm_ends, NULL);
	return 0;
}
