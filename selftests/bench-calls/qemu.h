/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What plugin.c uses of QEMU's interface for plugins. QEMU's own header is in no package of Debian
 * 12 or 13. All this is the same in both, of which one has version 1 and the other takes 2 to 4.
 * QEMU's documentation of it is docs/devel/tcg-plugins.
 */
#ifndef QEMU_H
#define QEMU_H

#include <stddef.h>
#include <stdint.h>

struct qemu_plugin_tb;		/* a block: instructions that are translated together */
struct qemu_plugin_insn;

/* The function that QEMU calls does not look at registers. */
#define QEMU_PLUGIN_CB_NO_REGS	0

typedef uint64_t qemu_plugin_id_t;
typedef void (*qemu_plugin_translated_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*qemu_plugin_executed_t)(unsigned int cpu, void *data);
typedef void (*qemu_plugin_exit_t)(qemu_plugin_id_t id, void *data);

/* What QEMU looks for in a plugin. */
extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_translated_t call);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, qemu_plugin_executed_t call,
					  int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_exit_t call, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/* Gone since version 2: NULL then. */
#pragma weak qemu_plugin_n_vcpus
int qemu_plugin_n_vcpus(void);

#endif /* QEMU_H */
