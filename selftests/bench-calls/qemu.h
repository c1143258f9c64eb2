/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What plugin.c uses of QEMU's interface for plugins. QEMU's own header is in no package of Debian
 * 12 or 13. All this is the same in both, of which one has version 1 and the other takes 2 to 4.
 * QEMU's documentation of it is docs/devel/tcg-plugins.
 */
#ifndef QEMU_H
#define QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qemu_plugin_tb;		/* a block: instructions that are translated together */
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;	/* where an access goes, valid until the function returns */

/* The function that QEMU calls does not look at registers. */
#define QEMU_PLUGIN_CB_NO_REGS	0

/* All accesses to memory. QEMU 7.2 tells of reads, too, where only writes are asked for. */
#define QEMU_PLUGIN_MEM_RW	3

typedef uint64_t qemu_plugin_id_t;
typedef void (*qemu_plugin_translated_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*qemu_plugin_executed_t)(unsigned int cpu, void *data);
typedef void (*qemu_plugin_accessed_t)(unsigned int cpu, uint32_t info, uint64_t address,
				       void *data);
typedef void (*qemu_plugin_exit_t)(qemu_plugin_id_t id, void *data);

/* What QEMU looks for in a plugin. */
extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_translated_t call);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, qemu_plugin_executed_t call,
					  int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_accessed_t call,
				      int flags, int accesses, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_exit_t call, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/* Also of an access that does both. */
bool qemu_plugin_mem_is_store(uint32_t info);

/* NULL: QEMU does not know. */
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

/* Gone since version 2: NULL then. */
#pragma weak qemu_plugin_n_vcpus
int qemu_plugin_n_vcpus(void);

#endif /* QEMU_H */
