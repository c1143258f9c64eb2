// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that find no room, though enough is free: other buffers are moved for them. Whoever uses
 * these waits while they are moved, so there are bounds to what one user can make others wait:
 * bytes for a request, bytes in a second for all requests of a user, the size of a buffer, and how
 * often one is moved in a second.
 */
#include <linux/timekeeping.h>

#include "arena.h"
#include "charge.h"
#include "compact.h"
#include "demand.h"
#include "region.h"

/* In a second of the kernel's clock, so many budgets may be moved for a user. */
#define MAL_USER_BUDGETS	4

/* A request looks at so many blocks at most, and each look counts as much as that many bytes. */
#define MAL_LOOKS_MAX		1000000
#define MAL_LOOK_BYTES		64

/* Others may take the room that was made: so often is it made for a request. */
#define MAL_DEMAND_ROUNDS	4

/* A request, and what has been done for it. */
struct demand {
	struct mal_region *region;
	struct mal_payer *payer;
	const struct mal_bounds *bounds;
	unsigned int rounds;
	u64 spent;		/* bytes of its budget */
	u32 looks;		/* at blocks, in this round */
	bool moved;		/* a buffer */
	bool over_budget;
};

/* How many bytes may still be moved: for this request, and for the user in this second. */
static u64 budget_of(const struct demand *demand)
{
	const u64 budget = READ_ONCE(demand->region->compact.budget);
	const u64 most = min(budget, U64_MAX / MAL_USER_BUDGETS) * MAL_USER_BUDGETS;
	const u64 second = ktime_get_seconds();
	struct mal_user *user = demand->payer->user;

	lockdep_assert_held(&demand->region->compacting);
	if (user->moves_second != second) {
		user->moves_second = second;
		user->moved = 0;
	}
	return min(budget - min(budget, demand->spent), most - min(most, user->moved));
}

static void spend(struct demand *demand, u64 bytes)
{
	struct mal_user *user = demand->payer->user;

	demand->spent += bytes;
	user->moved += bytes;
	/* Else the user could close all files, and begin again. */
	if (!user->keeps_count) {
		user->keeps_count = true;
		mal_user_get(user);
	}
}

/* To make room for @req, which is the demand's in one window. */
static int move_for(struct demand *demand, const struct mal_request *req)
{
	struct mal_region *region = demand->region;
	const u64 budget = budget_of(demand) >> PAGE_SHIFT;
	struct mal_compaction compaction = {
		.room.req = *req,
		.room.budget = budget,
		.region = region,
		.bounded = true,
		.looks_max = MAL_LOOKS_MAX,
		.looks = demand->looks,
	};
	enum mal_outcome outcome;

	outcome = budget ? mal_compact(&compaction) : MAL_OVER_BUDGET;
	spend(demand, ((budget - compaction.room.budget) << PAGE_SHIFT) +
		      (u64)(compaction.looks - demand->looks) * MAL_LOOK_BYTES);
	demand->looks = compaction.looks;
	demand->moved |= compaction.moves;
	demand->over_budget |= outcome == MAL_OVER_BUDGET;
	if (outcome == MAL_STOPPED)
		return compaction.err;
	/* If nothing was in the way, it is the kernel's own memory that the request lacked. */
	return outcome == MAL_DONE && (compaction.moves || !demand->rounds) ? 0 : -ENOMEM;
}

/* 0: there was room for a moment. -ENOMEM, -EINTR. */
static int move_buffers(struct demand *demand)
{
	struct mal_region *region = demand->region;
	unsigned int number = 0;
	struct mal_request req;
	int err = -ENOMEM;

	/* What is being moved meanwhile is not counted as free. */
	if (mal_arena_count_free(&region->arena) < demand->bounds->req.size)
		return -ENOMEM;
	demand->looks = 0;
	demand->over_budget = false;
	while (err == -ENOMEM && mal_bounds_next(&region->ranges, demand->bounds, &number, &req))
		err = move_for(demand, &req);
	if (demand->over_budget)
		WRITE_ONCE(region->moves.over_budget, region->moves.over_budget + 1);
	return err;
}

/* Granules. What a buffer is being moved to is not in use for long. */
static u64 free_or_moving(struct mal_region *region)
{
	/* A move may begin before the count, and may end after it. */
	const u32 before = READ_ONCE(region->moves.target);
	const u64 free = mal_arena_count_free(&region->arena);
	const u32 after = READ_ONCE(region->moves.target);

	return free + max(before, after);
}

/* Is there a place for it, with nobody in its way? */
static bool has_place(const struct mal_ranges *ranges, const struct mal_bounds *bounds)
{
	unsigned int number = 0;
	struct mal_request req;

	while (mal_bounds_next(ranges, bounds, &number, &req))
		if (mal_request_place(&req, 0, ranges->granules) != MAL_NONE)
			return true;
	return false;
}

static bool can_be_served(const struct demand *demand)
{
	struct mal_region *region = demand->region;

	return READ_ONCE(region->compact.mode) != MAL_COMPACT_NEVER && mal_can_move(region) &&
	       has_place(&region->ranges, demand->bounds) &&
	       free_or_moving(region) >= demand->bounds->req.size;
}

static int make_room_for(struct demand *demand)
{
	int err;

	if (!can_be_served(demand) || demand->rounds == MAL_DEMAND_ROUNDS)
		return -ENOMEM;
	err = mal_compact_begin(demand->region);
	if (err)
		return err;
	err = move_buffers(demand);
	mal_compact_end(demand->region);
	demand->rounds++;
	return err;
}

struct mal_buffer *mal_create_by_moves(struct mal_region *region, struct mal_payer *payer,
				       u64 length, const struct mal_bounds *bounds,
				       mal_buffer_creator create)
{
	struct demand demand = { .region = region, .payer = payer, .bounds = bounds };
	struct mal_buffer *buffer;

	do {
		int err = make_room_for(&demand);

		if (err)
			return ERR_PTR(err);
		buffer = create(region, payer, length, bounds);
	} while (buffer == ERR_PTR(-ENOMEM));
	if (!IS_ERR(buffer) && demand.moved)
		atomic64_inc(&region->moves.served);
	return buffer;
}
