// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Makes room for a request by moving used blocks; see room.h. */
#include "room.h"

static bool is_obstacle(const struct mal_room *room, const struct mal_seen *seen)
{
	u32 i;

	for (i = 0; i < room->n_obstacles; i++)
		if (room->obstacles[i] >= seen->first && room->obstacles[i] < seen->end)
			return true;
	return false;
}

/* Would there be room in the window if its small blocks were gone, and the others at its start? */
static bool has_room(const struct mal_room *room, const struct mal_window *window)
{
	u32 start = window->start + window->large;

	return start < window->end &&
	       mal_request_place(&room->req, start, window->end) != MAL_NONE;
}

static void begin_window(struct mal_room *room, u32 start)
{
	room->window = (struct mal_window) { .start = start, .end = start };
	room->first = 0;
}

/*
 * The block was seen at the end of the window. It may have become larger since another one was seen
 * there: the window has it from its own end on.
 */
static void lengthen_window(struct mal_room *room, const struct mal_seen *seen)
{
	struct mal_window *window = &room->window;
	u32 granules = seen->end - window->end;

	if (!room->first) {
		room->first = granules;
		room->first_is_used = seen->used;
	}
	window->end += granules;
	if (!seen->used)
		return;
	window->used += granules;
	if (granules > room->largest)
		window->large += granules;
}

/* If there is room without the first block, leave it out. False: there is not. */
static bool shorten_window(struct mal_room *room)
{
	struct mal_window shorter = room->window;
	struct mal_seen seen;

	if (room->first == shorter.end - shorter.start)
		return false;
	shorter.start += room->first;
	if (room->first_is_used) {
		shorter.used -= min(shorter.used, room->first);
		if (room->first > room->largest)
			shorter.large -= min(shorter.large, room->first);
	}
	if (!has_room(room, &shorter))
		return false;
	room->mover->look(room, shorter.start, &seen);
	room->first = min(seen.end, shorter.end) - shorter.start;
	room->first_is_used = seen.used;
	room->window = shorter;
	return true;
}

/* Find the window of which the least has to be moved. */
static void find_window(struct mal_room *room)
{
	u32 at = 0;

	room->best = (struct mal_window) { .used = ~0u };
	begin_window(room, 0);
	while (at < room->granules) {
		struct mal_seen seen;

		room->mover->look(room, at, &seen);
		at = seen.end;
		if (seen.used && (seen.stays || is_obstacle(room, &seen))) {
			begin_window(room, at);
			continue;
		}
		lengthen_window(room, &seen);
		while (shorten_window(room))
			;
		if (has_room(room, &room->window) && room->window.used < room->best.used)
			room->best = room->window;
	}
}

/*
 * Move the used block of @size that holds granule @at out of the window: down, unless no place was
 * found there for one that is no larger.
 */
static enum mal_outcome move_out(struct mal_room *room, u32 at, u32 size)
{
	const struct mal_window *window = &room->best;
	enum mal_outcome outcome = MAL_NO_PLACE;

	if (window->start && size < room->too_large_below) {
		outcome = room->mover->move(room, at, 0, window->start);
		if (outcome == MAL_NO_PLACE)
			room->too_large_below = size;
	}
	if (outcome == MAL_NO_PLACE && window->end < room->granules)
		outcome = room->mover->move(room, at, window->end, room->granules);
	return outcome;
}

/* Move all small blocks out of the window. If one stays, or finds no place: *@at is in it. */
static enum mal_outcome move_small_out(struct mal_room *room, u32 *at)
{
	struct mal_seen seen;

	room->too_large_below = ~0u;
	for (*at = room->best.start; *at < room->best.end; *at = seen.end) {
		enum mal_outcome outcome = MAL_DONE;
		u32 size;

		room->mover->look(room, *at, &seen);
		size = seen.end - seen.first;
		if (seen.used && size <= room->largest)
			outcome = move_out(room, *at, size);
		if (outcome == MAL_NO_PLACE)
			room->largest = size / 2;
		if (outcome != MAL_DONE)
			return outcome;
	}
	return MAL_DONE;
}

/* Move the others together. */
static enum mal_outcome slide_others(struct mal_room *room, u32 *at)
{
	struct mal_seen seen;

	for (*at = room->best.start; *at < room->best.end; *at = seen.end) {
		enum mal_outcome outcome = MAL_DONE;

		room->mover->look(room, *at, &seen);
		if (seen.used)
			outcome = room->mover->slide(room, *at, room->best.start);
		if (outcome != MAL_DONE)
			return outcome;
	}
	return MAL_DONE;
}

/* The block that holds granule @at stays. False: too many do. */
static bool remember_obstacle(struct mal_room *room, u32 at)
{
	struct mal_seen seen;

	room->mover->look(room, at, &seen);
	/* Then the next plan sees that, too. */
	if (seen.stays)
		return true;
	if (room->n_obstacles == MAL_OBSTACLES_MAX)
		return false;
	room->obstacles[room->n_obstacles++] = at;
	return true;
}

enum mal_outcome mal_make_room(struct mal_room *room)
{
	u32 plans;

	for (plans = 0; plans < MAL_PLANS_MAX; plans++) {
		enum mal_outcome outcome;
		u32 at;

		find_window(room);
		if (!room->best.end)
			return MAL_NO_PLACE;
		if (!room->best.used)
			return MAL_DONE;
		if (room->best.used > room->budget)
			return MAL_OVER_BUDGET;
		outcome = move_small_out(room, &at);
		if (outcome == MAL_DONE)
			outcome = slide_others(room, &at);
		if (outcome == MAL_STOPPED || outcome == MAL_OVER_BUDGET)
			return outcome;
		if (outcome == MAL_STAYS && !remember_obstacle(room, at))
			return MAL_NO_PLACE;
	}
	return MAL_NO_PLACE;
}
