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
#define MAL_NAMESPACE			MEMALLOC
#else
#define MAL_NAMESPACE			"MEMALLOC"
#endif

/*
 * In 6.17, alloc_contig_range() got flags for its migrate type, of which MIGRATE_MOVABLE had meant:
 * not from CMA. And __PageMovable() got another name.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define ACR_FLAGS_NONE			MIGRATE_MOVABLE
#define page_has_movable_ops(page)	__PageMovable(page)
#endif

/* In 7.3, what a region of the dmem cgroup is came into a struct. */
#if !IS_ENABLED(CONFIG_CGROUP_DMEM)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define mal_dmem_register_region	dmem_cgroup_register_region
#else
#define mal_dmem_register_region(bytes, ...)	\
	dmem_cgroup_register_region(&(struct dmem_cgroup_init){ .size = (bytes) }, __VA_ARGS__)
#endif

/* In 6.17, a frame number became a plain number. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#define vmf_insert_mixed(vma, address, pfn)	vmf_insert_mixed(vma, address, pfn_to_pfn_t(pfn))
#endif

/*
 * Nobody can pin a page through a huge entry that vmf_insert_pfn_pmd() makes. Since 6.12, the entry
 * is special. Before, it has to be one of a device's memory: get_user_pages_fast() then looks for
 * the device's struct dev_pagemap, and finds none.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define MAL_UNPINNABLE_HUGE	IS_ENABLED(CONFIG_ARCH_HAS_PTE_DEVMAP)
#define vmf_insert_pfn_pmd(vmf, pfn, write)	\
	vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV | PFN_MAP), write)
#else
#define MAL_UNPINNABLE_HUGE	IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define vmf_insert_pfn_pmd(vmf, pfn, write)	vmf_insert_pfn_pmd(vmf, pfn_to_pfn_t(pfn), write)
#endif
#endif

/*
 * KVM of older kernels for arm64 takes vm_pgoff of an area of frames for the frame it begins with,
 * and gives virtual machines what lies behind a small entry. 6.12.118 was looked at.
 */
#define MAL_HUGE_ENTRIES	(MAL_UNPINNABLE_HUGE && IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && \
	(!IS_ENABLED(CONFIG_ARM64) || LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 118)))

/*
 * An importer that can be asked to let go of what its device has mapped. Before, an exporter that
 * asks would have everything mapped for all others for as long as they are attached. 7.3 was looked
 * at.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define MAL_IMPORTERS_YIELD			0
#define mal_importer_yields(attach)		false
#define mal_invalidate_mappings(dmabuf)		((void)(dmabuf))
#else
#define MAL_IMPORTERS_YIELD			1
#define mal_invalidate_mappings(dmabuf)		dma_buf_invalidate_mappings(dmabuf)
#define mal_importer_yields(attach)	\
	((attach)->importer_ops && (attach)->importer_ops->invalidate_mappings)
#endif

/*
 * For the example of a V4L2 driver. Since 6.13, a queue with a lock lets others have it while a
 * program waits for a frame. 6.12 and 7.3 were looked at.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define MAL_VB2_WAIT_OPS		\
	.wait_prepare = vb2_ops_wait_prepare, .wait_finish = vb2_ops_wait_finish,
#else
#define MAL_VB2_WAIT_OPS
#endif

/*
 * For a variable that is set before it is read. Distributions have the compiler zero all variables
 * on the stack; in a call that would be a tenth of it.
 */
#ifndef __uninitialized
#if __has_attribute(uninitialized)
#define __uninitialized	__attribute__((uninitialized))
#else
#define __uninitialized
#endif
#endif

#endif /* MAL_COMPAT_H */
