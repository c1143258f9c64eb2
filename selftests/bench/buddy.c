// SPDX-License-Identifier: GPL-2.0-only
/* A textbook binary buddy system. See buddy.h. */
#include "buddy.h"

/* A granule's state; 0: no block begins here. */
#define FREE	0x40
#define USED	0x80
#define ORDER	0x1f

static u32 order_of(u32 size)
{
	return size > 1 ? mal_high_bit(size - 1) + 1 : 0;
}

static void push(struct buddy *buddy, u32 head, u32 order)
{
	u32 next = buddy->first[order];

	mal_step();
	buddy->state[head] = FREE | order;
	buddy->link[head][0] = next;
	buddy->link[head][1] = BUDDY_NONE;
	if (next != BUDDY_NONE) {
		mal_step();
		buddy->link[next][1] = head;
	}
	buddy->first[order] = head;
	buddy->filled |= 1u << order;
}

static void unlink_free(struct buddy *buddy, u32 head, u32 order)
{
	u32 next = buddy->link[head][0];
	u32 prev = buddy->link[head][1];

	mal_step();
	buddy->state[head] = 0;
	if (next != BUDDY_NONE) {
		mal_step();
		buddy->link[next][1] = prev;
	}
	if (prev != BUDDY_NONE) {
		mal_step();
		buddy->link[prev][0] = next;
		return;
	}
	buddy->first[order] = next;
	if (next == BUDDY_NONE)
		buddy->filled &= ~(1u << order);
}

size_t buddy_bytes(u32 granules)
{
	return (size_t)granules * (sizeof(u32[2]) + 1);
}

void buddy_init(struct buddy *buddy, void *memory, u32 granules)
{
	u32 head, order;

	*buddy = (struct buddy) {
		.link = memory,
		.state = (unsigned char *)memory + (size_t)granules * sizeof(u32[2]),
		.granules = granules,
	};
	memset(buddy->first, 0xff, sizeof(buddy->first));
	for (head = 0; head < granules; head += 1u << order) {
		order = mal_high_bit(granules - head);
		push(buddy, head, order);
	}
}

u32 buddy_alloc(struct buddy *buddy, u32 size, u32 align)
{
	u32 wanted = order_of(size > align ? size : align);
	u32 fitting = buddy->filled & ~0u << wanted;
	u32 head, order;

	if (!fitting)
		return BUDDY_NONE;
	order = mal_low_bit(fitting);
	head = buddy->first[order];
	unlink_free(buddy, head, order);
	while (order > wanted) {
		order--;
		push(buddy, head + (1u << order), order);
	}
	mal_step();
	buddy->state[head] = USED | order;
	return head;
}

bool buddy_resize(struct buddy *buddy, u32 head, u32 size)
{
	mal_step();
	return (buddy->state[head] & ORDER) == order_of(size);
}

void buddy_free(struct buddy *buddy, u32 head)
{
	u32 order = buddy->state[head] & ORDER;
	u32 other = head ^ 1u << order;

	mal_step();
	buddy->state[head] = 0;
	while (other < buddy->granules && buddy->state[other] == (FREE | order)) {
		mal_step();
		unlink_free(buddy, other, order);
		head &= other;
		order++;
		other = head ^ 1u << order;
	}
	push(buddy, head, order);
}

const char *buddy_check(const struct buddy *buddy, u32 *free)
{
	u32 listed = 0;
	u32 head, order;

	*free = 0;
	for (head = 0; head < buddy->granules; head += 1u << order) {
		order = buddy->state[head] & ORDER;
		if (!(buddy->state[head] & (FREE | USED)) || head & ((1u << order) - 1) ||
		    (1u << order) > buddy->granules - head)
			return "the blocks do not cover the range";
		if (buddy->state[head] & FREE)
			*free += 1u << order;
	}
	for (order = 0; order < BUDDY_ORDERS; order++)
		for (head = buddy->first[order]; head != BUDDY_NONE; head = buddy->link[head][0]) {
			if (buddy->state[head] != (FREE | order) || listed >= *free)
				return "a list holds what is not free";
			listed += 1u << order;
		}
	return listed == *free ? NULL : "a free block is in no list";
}
