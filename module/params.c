// SPDX-License-Identifier: GPL-2.0-only
/* The module's parameters. */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/memalloc.h>

#include "charge.h"
#include "core/fit.h"
#include "params.h"
#include "region.h"

static char *size = "64M";
module_param(size, charp, 0444);
MODULE_PARM_DESC(size, "bytes to claim, a multiple of the page size; suffixes K, M, G, T (default: 64M)");

static int node = NUMA_NO_NODE;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "NUMA node to claim from; -1: any (default: -1)");

/*
 * Of the region that the parameters are for, if there is one. Under kernel_param_lock(), which the
 * kernel holds, and checks that it does, when it calls set_fit() and get_fit().
 */
static struct mal_region *region;
static const struct mal_fit *wanted_fit = &mal_fit_good;

static void explain_fit(const char *name)
{
	const struct mal_fit *const *fit;
	char known[64] = "";

	for (fit = mal_fits; *fit; fit++) {
		strlcat(known, " ", sizeof(known));
		strlcat(known, (*fit)->name, sizeof(known));
	}
	pr_err("fit=%s is none of:%s\n", name, known);
}

/* Before the region is there, what it will begin with; later, what it changes to. */
static int set_fit(const char *text, const struct kernel_param *param)
{
	char name[MEMALLOC_NAME_LEN];
	const struct mal_fit *fit;

	strscpy(name, text, sizeof(name));
	fit = mal_fit_by_name(strim(name));
	if (!fit) {
		explain_fit(strim(name));
		return -EINVAL;
	}
	wanted_fit = fit;
	if (region)
		mal_arena_switch(&region->arena, fit);
	return 0;
}

static int get_fit(char *text, const struct kernel_param *param)
{
	return sysfs_emit(text, "%s\n", wanted_fit->name);
}

static const struct kernel_param_ops fit_ops = { .set = set_fit, .get = get_fit };
module_param_cb(fit, &fit_ops, NULL, 0644);
__MODULE_PARM_TYPE(fit, "charp");
MODULE_PARM_DESC(fit, "how a free block is picked, also while loaded: good, first, best, worst, next (default: good)");

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

/*
 * A limit of charge.h: 0 is none, and "default" what user_bytes begins with. What has been
 * allocated stays when a limit is lowered.
 */
static int set_limit(const char *text, const struct kernel_param *param)
{
	u64 *limit = param->arg;
	char copy[32];
	u64 value;

	if (strscpy(copy, text, sizeof(copy)) >= 0) {
		if (limit == &mal_user_limit.bytes && !strcmp(strim(copy), "default")) {
			WRITE_ONCE(*limit, MAL_DEFAULT_BYTES);
			return 0;
		}
		if (!parse_size(strim(copy), &value)) {
			WRITE_ONCE(*limit, value ?: U64_MAX);
			return 0;
		}
	}
	pr_err("%s=%s is not a number\n", param->name, strim(copy));
	return -EINVAL;
}

static int get_limit(char *text, const struct kernel_param *param)
{
	const u64 *limit = param->arg;

	if (limit == &mal_user_limit.bytes && *limit == MAL_DEFAULT_BYTES)
		return sysfs_emit(text, "default\n");
	return sysfs_emit(text, "%llu\n", *limit == U64_MAX ? 0 : *limit);
}

static const struct kernel_param_ops limit_ops = { .set = set_limit, .get = get_limit };

#define LIMIT(name, variable, what, otherwise)					\
	module_param_cb(name, &limit_ops, &(variable), 0644);			\
	__MODULE_PARM_TYPE(name, "charp");					\
	MODULE_PARM_DESC(name, "most " what					\
			 " without CAP_SYS_RESOURCE, also while loaded; 0: no limit (default: " \
			 otherwise ")")

LIMIT(user_bytes, mal_user_limit.bytes, "bytes that all clients of a user have", "15/16; root: 0");
LIMIT(user_buffers, mal_user_limit.buffers, "buffers that all clients of a user have", "0");
LIMIT(client_bytes, mal_client_limit.bytes, "bytes that a client, an open file, has", "0");
LIMIT(client_buffers, mal_client_limit.buffers, "buffers that a client, an open file, has", "0");

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
	/* The source explains what is more than all memory. */
	if (*pages > MAL_HEAP_MAX && *pages <= totalram_pages()) {
		pr_err("size=%s is more than a region can have\n", size);
		return -EFBIG;
	}
	return 0;
}

int mal_params_get(struct mal_params *params)
{
	int err = parse_pages(&params->pages);

	if (err)
		return err;
	if (node != NUMA_NO_NODE && (node < 0 || node >= MAX_NUMNODES || !node_online(node))) {
		pr_err("node=%d is not an online NUMA node\n", node);
		return -EINVAL;
	}
	params->node = node;
	kernel_param_lock(THIS_MODULE);
	params->fit = wanted_fit;
	kernel_param_unlock(THIS_MODULE);
	return 0;
}

void mal_params_attach(struct mal_region *attached)
{
	kernel_param_lock(THIS_MODULE);
	region = attached;
	/* The parameter may have been set while the region was made. */
	if (region && mal_arena_fit(&region->arena) != wanted_fit)
		mal_arena_switch(&region->arena, wanted_fit);
	kernel_param_unlock(THIS_MODULE);
}
