// SPDX-License-Identifier: GPL-2.0-only
/*
 * An administrator, who makes, opens and destroys other regions all the time, while the workers
 * use theirs. He knows how each call has to be answered; that the workers notice nothing of it is
 * for their model to say.
 */
#include "fuzz.h"

#include "control.h"

#define REGIONS		4
#define PAGES_MOST	64	/* of a region */
#define OTHERS_MOST	8	/* regions that are none of his */
#define RANGES_MOST	3	/* of a region */

static const char *const fits[] = { "good", "first", "best", "worst", "next" };

struct region {
	char name[MEMALLOC_NAME_LEN];
	__u64 length;		/* of its first range; 0: there is no such region */
	__u64 added[RANGES_MOST];	/* of the others, by their numbers; 0: there is none */
	__u32 ranges;		/* it may have so many */
	__u64 stamp;		/* later regions have a higher one */
	const char *fit;
	int fd;			/* of its node, or -1 */
};

struct office {
	__u64 random;
	__u64 stamp;
	int control;
	int others;		/* that were there before him, and stay */
	struct memalloc_region other[OTHERS_MOST];
	struct region regions[REGIONS];
};

static unsigned int some(struct office *office, unsigned int n)
{
	return random_below(&office->random, n);
}

static struct region *some_region(struct office *office)
{
	return &office->regions[some(office, REGIONS)];
}

static __u64 length_of(const struct region *region)
{
	return region->length + region->added[1] + region->added[2];
}

/* Makes @create wrong. Returns the errno. */
static int spoil(struct office *office, struct memalloc_create *create)
{
	switch (some(office, 12)) {
	case 0:
		create->name[some(office, strlen((char *)create->name))] = '/';
		return -EINVAL;
	case 1:
		memset(create->name, 'n', sizeof(create->name));
		return -EINVAL;
	case 2:
		strcpy((char *)create->source, "nowhere");
		return -EINVAL;
	case 3:
		strcpy((char *)create->fit, "perfect");
		return -EINVAL;
	case 4:
		create->length += 1 + some(office, PAGE - 1);
		return -EINVAL;
	case 5:
		create->length = 0;
		return -EINVAL;
	case 6:
		create->base = PAGE << some(office, 30);
		return -EINVAL;
	case 7:
		create->node = 99;
		return -EINVAL;
	case 8:
		strcpy((char *)create->heap, "a.b");
		return -EINVAL;
	case 9:
		create->length = 1ULL << 50;
		return -EFBIG;
	case 10:
		strcpy((char *)create->name, region_name());
		return -EEXIST;
	default:
		strcpy((char *)create->heap, node_name());
		return -EEXIST;
	}
}

static const char *make_region(struct office *office)
{
	struct region *region = some_region(office);
	const char *fit = fits[some(office, ARRAY_SIZE(fits))];
	struct memalloc_create create =
		region_called(region->name, PAGE * (1 + some(office, PAGES_MOST)));
	const __u32 ranges = 1 + some(office, RANGES_MOST);
	const __u64 length = create.length;
	int expected = region->length ? -EEXIST : 0;

	strcpy((char *)create.fit, fit);
	create.ranges = ranges;
	/* Each may have so much, and any gap is long enough for one. */
	if (ranges > 1)
		create.length_max = ranges * PAGES_MOST * PAGE;
	if (!expected && !some(office, 2))
		expected = spoil(office, &create);
	if (call(office->control, MEMALLOC_CONTROL_CREATE, &create) != expected)
		return "CREATE was answered otherwise";
	if (expected)
		return NULL;
	region->length = length;
	memset(region->added, 0, sizeof(region->added));
	region->ranges = ranges;
	region->fit = fit;
	region->stamp = ++office->stamp;
	return NULL;
}

static const char *destroy_one(struct office *office)
{
	struct region *region = some_region(office);
	int expected = !region->length ? -ENOENT : region->fd >= 0 ? -EBUSY : 0;

	if (!some(office, 8))
		return destroy_region(office->control, region_name()) == -EBUSY ? NULL :
		       "DESTROY of a region in use was answered otherwise";
	if (destroy_region(office->control, region->name) != expected)
		return "DESTROY was answered otherwise";
	if (!expected)
		region->length = 0;
	return NULL;
}

static const char *open_region(struct office *office)
{
	struct region *region = some_region(office);
	struct memalloc_alloc buffer;
	struct memalloc_info info;
	char path[64];

	if (region->fd >= 0)
		return NULL;
	snprintf(path, sizeof(path), "/dev/memalloc-%s", region->name);
	region->fd = open(path, O_RDWR | O_CLOEXEC);
	if (region->fd < 0)
		return region->length ? "a region can't be opened" : NULL;
	if (!region->length)
		return "there is a node of a region that is gone";
	if (get_info(region->fd, &info) || info.region_length != length_of(region) ||
	    strcmp((char *)info.name, region->name) || strcmp((char *)info.fit, region->fit))
		return "a region is not as it was wished";
	if (take_all(region->fd) != length_of(region))
		return "a region has less room than it is long";
	/* From now on it has one buffer only, for which there is room in its first range. */
	close(region->fd);
	region->fd = open(path, O_RDWR | O_CLOEXEC);
	return alloc_buffer(region->fd, PAGE, &buffer) ? "an idle region has no room" : NULL;
}

static const char *close_region(struct office *office)
{
	struct region *region = some_region(office);

	if (region->fd >= 0)
		close(region->fd);
	region->fd = -1;
	return NULL;
}

static int free_number(const struct region *region)
{
	__u32 i;

	for (i = 1; i < region->ranges; i++)
		if (!region->added[i])
			return i;
	return -ENOSPC;
}

static const char *grow_one(struct office *office)
{
	struct region *region = some_region(office);
	const __u64 length = PAGE * (1 + some(office, PAGES_MOST));
	const int expected = region->length ? free_number(region) : -ENOENT;
	int number;

	if (!some(office, 8))
		return grow_region(office->control, region_name(), PAGE) == -ENOSPC ? NULL :
		       "GROW of the workers' region was answered otherwise";
	number = grow_region(office->control, region->name, length);
	if (number != expected)
		return "GROW was answered otherwise";
	if (number > 0)
		region->added[number] = length;
	return NULL;
}

static const char *shrink_one(struct office *office)
{
	struct region *region = some_region(office);
	const __u32 number = some(office, RANGES_MOST + 1);
	int err = shrink_region(office->control, region->name, number);
	int expected = 0;

	if (!region->length)
		expected = -ENOENT;
	else if (!number)
		expected = -EINVAL;
	else if (number >= RANGES_MOST || !region->added[number])
		expected = -ENOENT;
	if (err != expected)
		return "SHRINK was answered otherwise";
	if (!err)
		region->added[number] = 0;
	return NULL;
}

/* Of those of @office that are there, the first that was made after @stamp. */
static const struct region *next_region(const struct office *office, __u64 stamp)
{
	const struct region *next = NULL;
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		const struct region *region = &office->regions[i];

		if (region->length && region->stamp > stamp &&
		    (!next || region->stamp < next->stamp))
			next = region;
	}
	return next;
}

static const char *list_all(struct office *office)
{
	const __u32 room = 1 + some(office, REGIONS + 2);
	struct memalloc_region entries[REGIONS + 2];
	const struct region *region;
	__u64 cursor = 0, stamp = 0;
	int i, n, others = 0;

	do {
		n = list_regions(office->control, &cursor, entries, room);
		if (n < 0)
			return "LIST failed";
		for (i = 0; i < n; i++) {
			if (others < office->others) {
				if (strcmp((char *)entries[i].name,
					   (char *)office->other[others++].name))
					return "LIST begins with another region";
				continue;
			}
			region = next_region(office, stamp);
			if (!region || strcmp((char *)entries[i].name, region->name) ||
			    entries[i].length != length_of(region))
				return "LIST tells of another region";
			stamp = region->stamp;
		}
	} while (n == (int)room);
	if (others < office->others || next_region(office, stamp))
		return "LIST leaves a region out";
	return NULL;
}

static const struct {
	const char *name;
	const char *(*act)(struct office *office);
} acts[ADMINISTRATORS_ACTS] = {
	{ "creates", make_region },
	{ "destroys", destroy_one },
	{ "opens", open_region },
	{ "closes", close_region },
	{ "lists", list_all },
	{ "grows", grow_one },
	{ "shrinks", shrink_one },
};

const char *administrators_act(unsigned int act)
{
	return acts[act].name;
}

static const char *begin(struct office *office)
{
	__u64 cursor = 0;
	int i;

	if (office->control < 0)
		return "the control node can't be opened";
	office->others = list_regions(office->control, &cursor, office->other, OTHERS_MOST);
	if (office->others == OTHERS_MOST)
		return "there are too many other regions";
	for (i = 0; i < office->others; i++)
		if (!strcmp((char *)office->other[i].name, region_name()))
			return NULL;
	return "LIST leaves out the region of the workers";
}

/* What is left of his regions goes. */
static const char *clear_up(struct office *office)
{
	const char *wrong = NULL;
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		struct region *region = &office->regions[i];

		if (region->fd >= 0)
			close(region->fd);
		if (region->length && destroy_region(office->control, region->name))
			wrong = "a region can't be destroyed in the end";
	}
	return wrong;
}

void administrate(struct administrator *a, __u64 seed)
{
	struct office office = {
		.random = 0x9e3779b97f4a7c15ULL * (seed + 1), .control = open_control(),
	};
	const char *wrong = begin(&office);
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		snprintf(office.regions[i].name, sizeof(office.regions[i].name), "fuzz-%u", i);
		office.regions[i].fd = -1;
	}
	while (!wrong && !__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE)) {
		const unsigned int act = some(&office, ADMINISTRATORS_ACTS);

		wrong = acts[act].act(&office);
		a->acts[act]++;
		sleep_ms(1);
	}
	if (!wrong)
		wrong = clear_up(&office);
	if (wrong)
		snprintf(a->wrong, sizeof(a->wrong), "%s", wrong);
}
