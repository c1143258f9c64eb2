// SPDX-License-Identifier: GPL-2.0-only
/* The module's parameters: what the region begins with. Its settings in sysfs change it later. */
#include <linux/module.h>
#include <linux/nodemask.h>

#include "core/fit.h"
#include "device.h"
#include "params.h"
#include "parse.h"

static char *size = "64M";
module_param(size, charp, 0444);
MODULE_PARM_DESC(size, "bytes to claim, a multiple of the page size; suffixes K, M, G, T (default: 64M)");

static int node = NUMA_NO_NODE;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "NUMA node to claim from; -1: any (default: -1)");

static char *fit = "good";
module_param(fit, charp, 0444);
MODULE_PARM_DESC(fit, "how a free block is picked: good, first, best, worst, next (default: good)");

#define LIMIT(name, what, otherwise, otherwise_means)				\
	static char *name = otherwise;						\
	module_param(name, charp, 0444);					\
	MODULE_PARM_DESC(name, "most " what " without CAP_SYS_RESOURCE; 0: no limit (default: " \
			 otherwise_means ")")

LIMIT(user_bytes, "bytes that all clients of a user have", "default", "15/16; root: 0");
LIMIT(user_buffers, "buffers that all clients of a user have", "0", "0");
LIMIT(client_bytes, "bytes that a client, an open file, has", "0", "0");
LIMIT(client_buffers, "buffers that a client, an open file, has", "0", "0");

static int parse_pages(unsigned long *pages)
{
	u64 bytes;
	int err = mal_parse_size(size, &bytes);

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

static int parse_limits(struct mal_limits *limits)
{
	return mal_parse_limit("user_bytes", user_bytes, &limits->user.bytes) ?:
	       mal_parse_limit("user_buffers", user_buffers, &limits->user.buffers) ?:
	       mal_parse_limit("client_bytes", client_bytes, &limits->client.bytes) ?:
	       mal_parse_limit("client_buffers", client_buffers, &limits->client.buffers);
}

int mal_params_get(struct mal_spec *spec)
{
	int err = parse_pages(&spec->pages);

	if (err)
		return err;
	if (node != NUMA_NO_NODE && (node < 0 || node >= MAX_NUMNODES || !node_online(node))) {
		pr_err("node=%d is not an online NUMA node\n", node);
		return -EINVAL;
	}
	spec->node = node;
	spec->fit = mal_parse_fit(fit);
	if (!spec->fit)
		return -EINVAL;
	return parse_limits(&spec->limits);
}
