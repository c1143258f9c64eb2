// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's parameters: the regions to be made at load, and what each region begins with.
 * Settings in sysfs change a region later.
 *
 * regions=NAME:SIZE[@PLACE][:FIT][,NAME:SIZE...]
 *
 * PLACE is a NUMA node, or 0x and the physical address of memory that was reserved at boot, or a
 * PCI device and its BAR, as 0000:05:00.0/2, and /cached if the CPU's caches may hold the memory.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core/fit.h"
#include "device.h"
#include "params.h"
#include "parse.h"

/* Of the region that has the module's name, and the short node. */
static char *size;
module_param(size, charp, 0444);
MODULE_PARM_DESC(size, "bytes to claim for /dev/memalloc, a multiple of the page size; suffixes K, M, G, T (default: 64M, or none if there are other regions)");

static char *regions;
module_param(regions, charp, 0444);
MODULE_PARM_DESC(regions, "more regions, with nodes of their own: NAME:SIZE[@NODE or @0xADDRESS or @PCI-ADDRESS/BAR][:FIT],... (default: none)");

static char *heap = "";
module_param(heap, charp, 0444);
MODULE_PARM_DESC(heap, "a second name for the first region in /dev/dma_heap/, such as linux,cma (default: none)");

static int node = NUMA_NO_NODE;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "NUMA node to claim from; -1: any (default: -1)");

static unsigned int ranges = 1;
module_param(ranges, uint, 0444);
MODULE_PARM_DESC(ranges, "most ranges of which a region is made, if it is of running memory: 1 to 16 (default: 1)");

static char *size_max = "0";
module_param(size_max, charp, 0444);
MODULE_PARM_DESC(size_max, "bytes that /dev/memalloc may grow to by GROW, if there may be several ranges (default: size)");

static char *fit = "good";
module_param(fit, charp, 0444);
MODULE_PARM_DESC(fit, "how a free block is picked: good, first, best, worst, next (default: good)");

static bool arenas = true;
module_param(arenas, bool, 0444);
MODULE_PARM_DESC(arenas, "CPUs and clients keep freed blocks ready, with good fit (default: 1)");

static char *compact = "demand";
module_param(compact, charp, 0444);
MODULE_PARM_DESC(compact, "when buffers are moved to make room: never; on demand, for a request that finds none though enough is free; or also in the background (default: demand)");

static char *compact_budget = "64M";
module_param(compact_budget, charp, 0444);
MODULE_PARM_DESC(compact_budget, "most bytes that are moved for a request; 0: no limit (default: 64M)");

static char *compact_buffer = "16M";
module_param(compact_buffer, charp, 0444);
MODULE_PARM_DESC(compact_buffer, "bytes of the largest buffer that is moved for a request; 0: no limit (default: 16M)");

static char *compact_threshold = "500";
module_param(compact_threshold, charp, 0444);
MODULE_PARM_DESC(compact_threshold, "fragmentation, in thousandths, above which buffers are moved in the background (default: 500)");

static char *user_bytes = "default";
static char *user_buffers = "0";
static char *client_bytes = "0";
static char *client_buffers = "0";

#define LIMIT(name, what, otherwise)						\
	module_param(name, charp, 0444);					\
	MODULE_PARM_DESC(name, "most " what " without CAP_SYS_RESOURCE; 0: no limit (default: " \
			 otherwise ")")

LIMIT(user_bytes, "bytes that all clients of a user have", "15/16; root: 0");
LIMIT(user_buffers, "buffers that all clients of a user have", "0");
LIMIT(client_bytes, "bytes that a client, an open file, has", "0");
LIMIT(client_buffers, "buffers that a client, an open file, has", "0");

static int parse_pages(const char *text, unsigned long *pages)
{
	u64 bytes;

	if (mal_parse_size(text, &bytes)) {
		pr_err("size=%s is not a number of bytes\n", text);
		return -EINVAL;
	}
	return mal_count_pages(bytes, pages);
}

static int parse_ranges(struct mal_spec *spec)
{
	if (!ranges || ranges > MEMALLOC_RANGES_MAX) {
		pr_err("ranges=%u is not a number from 1 to %u\n", ranges, MEMALLOC_RANGES_MAX);
		return -EINVAL;
	}
	spec->ranges = ranges;
	return 0;
}

/* As parse_pages(), but 0 is none. */
static int parse_size_max(unsigned long *pages)
{
	u64 bytes;

	if (mal_parse_size(size_max, &bytes)) {
		pr_err("size_max=%s is not a number of bytes\n", size_max);
		return -EINVAL;
	}
	return bytes ? mal_count_pages(bytes, pages) : 0;
}

static int parse_limits(struct mal_limits *limits)
{
	return mal_parse_limit("user_bytes", user_bytes, &limits->user.bytes) ?:
	       mal_parse_limit("user_buffers", user_buffers, &limits->user.buffers) ?:
	       mal_parse_limit("client_bytes", client_bytes, &limits->client.bytes) ?:
	       mal_parse_limit("client_buffers", client_buffers, &limits->client.buffers);
}

static int parse_compact(struct mal_compact_settings *settings)
{
	return mal_parse_mode(compact, &settings->mode) ?:
	       mal_parse_threshold(compact_threshold, &settings->threshold) ?:
	       mal_parse_limit("compact_budget", compact_budget, &settings->budget) ?:
	       mal_parse_limit("compact_buffer", compact_buffer, &settings->buffer_max);
}

int mal_params_get_defaults(struct mal_spec *spec)
{
	int err = mal_check_node(node);

	if (err)
		return err;
	spec->source = mal_source_by_name("");
	spec->wish.node = node;
	spec->fit = mal_parse_fit(fit);
	if (!spec->fit)
		return -EINVAL;
	spec->arenas = arenas;
	return parse_ranges(spec) ?: parse_limits(&spec->limits) ?: parse_compact(&spec->compact);
}

/* What is read of regions=. */
struct cursor {
	const char *at;
	const char *item;		/* where what comes next begins */
	char word[MEMALLOC_NAME_LEN];
};

/* The @n characters at the cursor. False: these are none, or too many; the cursor stays. */
static bool take_chars(struct cursor *cursor, size_t n)
{
	if (!n || n >= sizeof(cursor->word))
		return false;
	strscpy(cursor->word, cursor->at, n + 1);
	cursor->at += n;
	return true;
}

/* The word at the cursor, up to one of @ends. */
static bool take_word(struct cursor *cursor, const char *ends)
{
	return take_chars(cursor, strcspn(cursor->at, ends));
}

/* The place at the cursor. That of a PCI device has a slash, and colons before it. */
static bool take_place(struct cursor *cursor)
{
	size_t slash = strcspn(cursor->at, "/,");

	if (cursor->at[slash] != '/')
		slash = 0;
	return take_chars(cursor, slash + strcspn(cursor->at + slash, ":,@"));
}

static bool take_char(struct cursor *cursor, char c)
{
	if (*cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static int parse_place(const char *text, struct mal_spec *spec)
{
	if (!strncasecmp(text, "0x", 2)) {
		spec->source = &mal_source_reserved;
		return kstrtou64(text, 16, &spec->wish.base);
	}
	if (strchr(text, '/')) {
		spec->source = mal_source_by_name("pci");
		strscpy(spec->wish.bar, text, sizeof(spec->wish.bar));
		return spec->source ? 0 : -EOPNOTSUPP;
	}
	return kstrtoint(text, 10, &spec->wish.node) ?: mal_check_node(spec->wish.node);
}

/* NULL, or what should be at the cursor's item. */
static const char *parse_region(struct cursor *cursor, struct mal_spec *spec)
{
	cursor->item = cursor->at;
	if (!take_word(cursor, ":,@") || !mal_is_name(cursor->word))
		return "a name of 1 to 31 letters, digits, - or _";
	strscpy(spec->name, cursor->word, sizeof(spec->name));

	cursor->item = cursor->at;
	if (!take_char(cursor, ':'))
		return "a colon and a size";
	cursor->item = cursor->at;
	if (!take_word(cursor, ":,@") || parse_pages(cursor->word, &spec->wish.pages))
		return "a size";

	cursor->item = cursor->at;
	if (take_char(cursor, '@') &&
	    (!take_place(cursor) || parse_place(cursor->word, spec)))
		return "@ and a NUMA node, 0x and an address, or a PCI device/BAR";

	cursor->item = cursor->at;
	if (take_char(cursor, ':')) {
		spec->fit = take_word(cursor, ":,@") ? mal_parse_fit(cursor->word) : NULL;
		if (!spec->fit)
			return "a colon and a fit";
	}

	cursor->item = cursor->at;
	return *cursor->at && *cursor->at != ',' ? "a comma, or the end" : NULL;
}

static int parse_regions(struct mal_spec *specs, unsigned int *count,
			 const struct mal_spec *defaults)
{
	struct cursor cursor = { .at = regions };
	const char *expected;

	do {
		specs[*count] = *defaults;
		expected = parse_region(&cursor, &specs[*count]);
		if (expected) {
			pr_err("regions=%s: expected %s at character %zu\n", regions, expected,
			       cursor.item - regions + 1);
			return -EINVAL;
		}
		++*count;
	} while (take_char(&cursor, ','));
	return 0;
}

static int parse_heap(struct mal_spec *specs, unsigned int count)
{
	if (!*heap)
		return 0;
	if (!count || !mal_is_heap_name(heap)) {
		pr_err("heap=%s %s\n", heap, count ? "is no name" : "is for no region");
		return -EINVAL;
	}
	strscpy(specs->heap, heap, sizeof(specs->heap));
	return 0;
}

static int parse_all(struct mal_spec *specs, unsigned int *count, bool others)
{
	struct mal_spec defaults = {};
	int err = mal_params_get_defaults(&defaults);

	if (err)
		return err;
	if (!size && (!regions || !*regions) && !others)
		size = "64M";
	if (size) {
		struct mal_spec *first = &specs[(*count)++];

		*first = defaults;
		strscpy(first->name, KBUILD_MODNAME, sizeof(first->name));
		err = parse_pages(size, &first->wish.pages) ?: parse_size_max(&first->pages_max);
	}
	if (!err && regions && *regions)
		err = parse_regions(specs, count, &defaults);
	return err ?: parse_heap(specs, *count);
}

/* That many regions there can be at most. */
static size_t max_regions(void)
{
	const char *comma = regions;
	size_t max = 2;

	while (comma && (comma = strchr(comma, ','))) {
		comma++;
		max++;
	}
	return max;
}

int mal_params_get(struct mal_spec **specs, unsigned int *count, bool others)
{
	int err;

	*count = 0;
	*specs = kcalloc(max_regions(), sizeof(**specs), GFP_KERNEL);
	if (!*specs)
		return -ENOMEM;
	err = parse_all(*specs, count, others);
	if (err)
		kfree(*specs);
	return err;
}
