// SPDX-License-Identifier: GPL-2.0-only
/* The control node: administrators make, destroy and list regions. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "call.h"
#include "control.h"
#include "device.h"
#include "grow.h"
#include "params.h"
#include "parse.h"
#include "regions.h"

/* Entries of LIST are read so many at a time. */
#define MAL_LIST_SLICE	4

static bool is_string(const u8 *name)
{
	return memchr(name, 0, MEMALLOC_NAME_LEN);
}

static void set_limit(u64 *limit, u64 wanted)
{
	if (wanted)
		*limit = wanted;
}

static int fill_spec(struct mal_spec *spec, const struct memalloc_create *create)
{
	int err;

	if (create->reserved || create->reserved2)
		return -EINVAL;
	if (!is_string(create->name) || !is_string(create->source) ||
	    !is_string(create->fit) || !is_string(create->bar) || !is_string(create->heap) ||
	    !mal_is_name((const char *)create->name))
		return -EINVAL;
	err = mal_params_get_defaults(spec);
	if (err)
		return err;
	spec->source = mal_source_by_name((const char *)create->source);
	if (!spec->source || spec->source->takes_base != !!create->base ||
	    spec->source->takes_bar != !!create->bar[0])
		return -EINVAL;
	if (create->heap[0] && !mal_is_heap_name((const char *)create->heap))
		return -EINVAL;
	strscpy(spec->heap, (const char *)create->heap, sizeof(spec->heap));
	spec->wish.base = create->base;
	strscpy(spec->wish.bar, (const char *)create->bar, sizeof(spec->wish.bar));
	strscpy(spec->name, (const char *)create->name, sizeof(spec->name));
	if (create->fit[0])
		spec->fit = mal_parse_fit((const char *)create->fit);
	if (!spec->fit)
		return -EINVAL;
	spec->wish.node = create->node;
	if (create->ranges)
		spec->ranges = create->ranges;
	if (spec->ranges > MEMALLOC_RANGES_MAX)
		return -EINVAL;
	if (create->ranges > 1 && !spec->source->has_several)
		return -EOPNOTSUPP;
	set_limit(&spec->limits.user.bytes, create->user_bytes_max);
	set_limit(&spec->limits.user.buffers, create->user_buffers_max);
	set_limit(&spec->limits.client.bytes, create->client_bytes_max);
	set_limit(&spec->limits.client.buffers, create->client_buffers_max);
	err = mal_check_node(spec->wish.node) ?:
	      mal_count_pages(create->length, &spec->wish.pages);
	if (err || !create->length_max)
		return err;
	return mal_count_pages(create->length_max, &spec->pages_max);
}

static int control_create(struct mal_call *call)
{
	struct mal_spec spec = {};
	int err = fill_spec(&spec, call->arg);

	return err ?: mal_regions_create(&spec, 1);
}

static int control_destroy(struct mal_call *call)
{
	const struct memalloc_destroy *destroy = call->arg;

	if (!is_string(destroy->name))
		return -EINVAL;
	return mal_regions_destroy((const char *)destroy->name);
}

static int control_grow(struct mal_call *call)
{
	struct memalloc_grow *grow = call->arg;
	struct mal_region *region;
	unsigned long pages;
	int number;
	int err;

	if (!is_string(grow->name) || grow->reserved)
		return -EINVAL;
	err = mal_check_node(grow->node) ?: mal_count_pages(grow->length, &pages);
	if (err)
		return err;
	region = mal_regions_get((const char *)grow->name);
	if (IS_ERR(region))
		return PTR_ERR(region);
	number = mal_grow(region, pages, pages, grow->node);
	mal_region_put(region);
	if (number < 0)
		return number;
	grow->range = number;
	return mal_call_respond(call);
}

static void fill_shrink(struct memalloc_shrink *arg, const struct mal_shrink *shrink)
{
	arg->length = shrink->length << PAGE_SHIFT;
	arg->moves = shrink->moves;
	arg->moved = shrink->moved << PAGE_SHIFT;
	arg->mapped = shrink->stays[MAL_STAYS_MAPPED] << PAGE_SHIFT;
	arg->disclosed = shrink->stays[MAL_STAYS_DISCLOSED] << PAGE_SHIFT;
	arg->huge = shrink->stays[MAL_STAYS_HUGE] << PAGE_SHIFT;
	arg->held = shrink->stays[MAL_MOVES] << PAGE_SHIFT;
	arg->quarantined = shrink->quarantined << PAGE_SHIFT;
}

static int control_shrink(struct mal_call *call)
{
	struct memalloc_shrink *arg = call->arg;
	struct mal_shrink shrink;
	struct mal_region *region;
	int err;

	if (!is_string(arg->name) || arg->reserved)
		return -EINVAL;
	region = mal_regions_get((const char *)arg->name);
	if (IS_ERR(region))
		return PTR_ERR(region);
	err = mal_shrink(region, arg->range, &shrink);
	mal_region_put(region);
	if (err && err != -EBUSY)
		return err;
	fill_shrink(arg, &shrink);
	return mal_call_respond(call) ?: err;
}

static int control_list(struct mal_call *call)
{
	struct memalloc_list *list = call->arg;
	struct memalloc_region slice[MAL_LIST_SLICE];
	u8 __user *to = u64_to_user_ptr(list->regions);
	u64 cursor = list->cursor;
	u32 done = 0;
	u32 n;

	if (!list->count || list->region_size < sizeof(*slice) || list->region_size > PAGE_SIZE)
		return -EINVAL;
	do {
		n = min_t(u32, list->count - done, MAL_LIST_SLICE);
		n = mal_regions_list(&cursor, slice, n);
		if (mal_call_copy_entries(to, list->region_size, slice, sizeof(*slice), n))
			return -EFAULT;
		to += (size_t)n * list->region_size;
		done += n;
		if (fatal_signal_pending(current))
			return -EINTR;
	} while (n && done < list->count);
	list->count = done;
	list->cursor = cursor;
	return mal_call_respond(call);
}

static const struct mal_call_type control_calls[] = {
	MAL_CALL(MEMALLOC_CONTROL_CREATE, control_create, memalloc_create, client_buffers_max, 0),
	MAL_CALL(MEMALLOC_CONTROL_DESTROY, control_destroy, memalloc_destroy, name, 0),
	MAL_CALL(MEMALLOC_CONTROL_LIST, control_list, memalloc_list, region_size, 0),
	MAL_CALL(MEMALLOC_CONTROL_GROW, control_grow, memalloc_grow, reserved, 0),
	MAL_CALL(MEMALLOC_CONTROL_SHRINK, control_shrink, memalloc_shrink, quarantined, 0),
};

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mal_call_run(control_calls, ARRAY_SIZE(control_calls), NULL, cmd, arg);
}

/* A region that was made before the module has loaded would be lost if loading failed. */
static bool started;

static int control_open(struct inode *inode, struct file *file)
{
	return READ_ONCE(started) ? nonseekable_open(inode, file) : -ENODEV;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME "-" MAL_CONTROL_NAME,
	.fops = &control_fops,
	.mode = 0600,
};

int mal_control_create(void)
{
	return misc_register(&control);
}

void mal_control_start(void)
{
	WRITE_ONCE(started, true);
}

void mal_control_destroy(void)
{
	misc_deregister(&control);
}
