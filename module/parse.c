// SPDX-License-Identifier: GPL-2.0-only
/* Settings as people write them. */
#include <linux/ctype.h>
#include <linux/nodemask.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/memalloc.h>

#include "charge.h"
#include "core/fit.h"
#include "parse.h"

/* @marks: which characters there may be, besides letters and digits. */
static bool is_name(const char *text, const char *marks)
{
	size_t n = 0;

	while (isascii(text[n]) && text[n] && (isalnum(text[n]) || strchr(marks, text[n])))
		n++;
	return n && n < MEMALLOC_NAME_LEN && !text[n];
}

bool mal_is_name(const char *text)
{
	return is_name(text, "-_");
}

bool mal_is_heap_name(const char *text)
{
	return is_name(text, "-_,");
}

int mal_parse_size(const char *text, u64 *bytes)
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

int mal_check_node(int node)
{
	if (node == NUMA_NO_NODE || (node >= 0 && node < MAX_NUMNODES && node_online(node)))
		return 0;
	pr_err("node=%d is not an online NUMA node\n", node);
	return -EINVAL;
}

int mal_count_pages(u64 bytes, unsigned long *pages)
{
	if (!bytes || !IS_ALIGNED(bytes, PAGE_SIZE)) {
		pr_err("size=%llu is not a multiple of %lu above 0\n", bytes, PAGE_SIZE);
		return -EINVAL;
	}
	*pages = bytes >> PAGE_SHIFT;
	if (*pages > MAL_HEAP_MAX) {
		pr_err("size=%llu is more than a region can have\n", bytes);
		return -EFBIG;
	}
	return 0;
}

int mal_parse_limit(const char *name, const char *text, u64 *limit)
{
	char copy[32];
	u64 value;

	if (strscpy(copy, text, sizeof(copy)) >= 0) {
		if (!strcmp(name, "user_bytes") && !strcmp(strim(copy), "default")) {
			*limit = MAL_DEFAULT_BYTES;
			return 0;
		}
		if (!mal_parse_size(strim(copy), &value)) {
			*limit = value ?: U64_MAX;
			return 0;
		}
	}
	pr_err("%s=%s is not a number\n", name, strim(copy));
	return -EINVAL;
}

int mal_format_limit(char *text, u64 limit)
{
	if (limit == MAL_DEFAULT_BYTES)
		return sysfs_emit(text, "default\n");
	return sysfs_emit(text, "%llu\n", limit == U64_MAX ? 0 : limit);
}

static const char *const modes[] = {
	[MAL_COMPACT_NEVER] = "never",
	[MAL_COMPACT_ON_DEMAND] = "demand",
	[MAL_COMPACT_BACKGROUND] = "background",
};

int mal_parse_mode(const char *text, enum mal_compact_mode *mode)
{
	const int found = sysfs_match_string(modes, text);

	if (found < 0) {
		pr_err("compact=%.*s is none of: never demand background\n",
		       (int)strcspn(text, "\n"), text);
		return -EINVAL;
	}
	*mode = found;
	return 0;
}

int mal_parse_threshold(const char *text, u32 *threshold)
{
	u32 value;

	if (kstrtou32(text, 10, &value) || value > 1000) {
		pr_err("compact_threshold=%.*s is not a number from 0 to 1000\n",
		       (int)strcspn(text, "\n"), text);
		return -EINVAL;
	}
	*threshold = value;
	return 0;
}

const char *mal_mode_name(enum mal_compact_mode mode)
{
	return modes[mode];
}

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

const struct mal_fit *mal_parse_fit(const char *text)
{
	char name[MEMALLOC_NAME_LEN];
	const struct mal_fit *fit;

	strscpy(name, text, sizeof(name));
	fit = mal_fit_by_name(strim(name));
	if (!fit)
		explain_fit(strim(name));
	return fit;
}
