// SPDX-License-Identifier: GPL-2.0-only
/* Parameters, and starting and stopping in order. */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/string.h>

#include "core/fit.h"
#include "region.h"

static char *size = "64M";
module_param(size, charp, 0444);
MODULE_PARM_DESC(size, "bytes to claim, a multiple of the page size; suffixes K, M, G, T (default: 64M)");

static int node = NUMA_NO_NODE;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "NUMA node to claim from; -1: any (default: -1)");

static char *fit = "good";
module_param(fit, charp, 0444);
MODULE_PARM_DESC(fit, "how a free block is picked: good (default: good)");

static struct mal_region *region;

/*
 * Like memparse(), but what is not a size is refused, and one that is too large for
 * @bytes is as large as can be.
 */
static int parse_size(const char *text, u64 *bytes)
{
	static const char suffixes[] = "KMGTPE";
	char digits[20] = "";
	size_t n = strspn(text, "0123456789");
	const char *suffix;
	u64 value;
	int shift = 0;

	if (!n || n >= sizeof(digits))
		return -EINVAL;
	strscpy(digits, text, n + 1);
	if (kstrtou64(digits, 10, &value))
		return -EINVAL;
	if (text[n]) {
		suffix = strchr(suffixes, toupper(text[n]));
		if (!suffix || text[n + 1])
			return -EINVAL;
		shift = 10 * (suffix - suffixes + 1);
	}
	*bytes = value > U64_MAX >> shift ? ALIGN_DOWN(U64_MAX, PAGE_SIZE) : value << shift;
	return 0;
}

static int parse_pages(unsigned long *pages)
{
	u64 bytes;
	int err = parse_size(size, &bytes);

	if (err || !bytes || !IS_ALIGNED(bytes, PAGE_SIZE)) {
		pr_err("size=%s is not a number of bytes, or not a multiple of %lu above 0\n", size,
		       PAGE_SIZE);
		return -EINVAL;
	}
	*pages = bytes >> PAGE_SHIFT;
	/* What is more than the memory, too, is left to mal_claim() to explain. */
	if (*pages > MAL_HEAP_MAX && *pages <= totalram_pages()) {
		pr_err("size=%s is more than a region can have\n", size);
		return -EFBIG;
	}
	return 0;
}

static int __init memalloc_init(void)
{
	const struct mal_fit *strategy = mal_fit_by_name(fit);
	unsigned long pages;
	int err;

	err = parse_pages(&pages);
	if (err)
		return err;
	if (!strategy) {
		pr_err("fit=%s is not known\n", fit);
		return -EINVAL;
	}
	if (node != NUMA_NO_NODE && (node < 0 || node >= MAX_NUMNODES || !node_online(node))) {
		pr_err("node=%d is not an online NUMA node\n", node);
		return -EINVAL;
	}

	region = mal_region_create(KBUILD_MODNAME, pages, node, strategy);
	if (IS_ERR(region))
		return PTR_ERR(region);
	pr_info("region of %lu KiB on node %d, fit %s\n", pages << (PAGE_SHIFT - 10),
		region->claim.node, strategy->name);
	return 0;
}

static void __exit memalloc_exit(void)
{
	mal_region_destroy(region);
}

module_init(memalloc_init);
module_exit(memalloc_exit);

MODULE_DESCRIPTION("Buffers of one contiguous physical region, for programs and drivers");
MODULE_AUTHOR("The memalloc developers");
MODULE_LICENSE("GPL");
