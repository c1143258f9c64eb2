/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else: lets the rest of the module be written as for the newest kernel.
 * The only place that looks at LINUX_VERSION_CODE. Other files do not include linux/mm.h again, nor
 * what that is sure to bring.
 */
#ifndef MAL_COMPAT_H
#define MAL_COMPAT_H

/* How messages of the module begin; must come before the first header. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set, vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

/* A namespace of symbols became a string in 6.13. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns)		MODULE_INFO(import_ns, ns)
#endif

/*
 * In 6.17, alloc_contig_range() got flags for its migrate type, of which MIGRATE_MOVABLE had meant:
 * not from CMA. And __PageMovable() got another name.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define ACR_FLAGS_NONE			MIGRATE_MOVABLE
#define page_has_movable_ops(page)	__PageMovable(page)
#endif

/* In 6.17, a frame number became a plain number. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#define vmf_insert_mixed(vma, address, pfn)	vmf_insert_mixed(vma, address, pfn_to_pfn_t(pfn))
#endif

#endif /* MAL_COMPAT_H */
