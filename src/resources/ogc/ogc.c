/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the collections of features can be asked. */
#include "operations.h"

static const char *const formats[] = { "json", NULL };
static const char *const feature_formats[] = { "json", "geojson", NULL };
static const char *const aspects[] = { "strength", "gap", "aspiration", "neutral", NULL };
static const char *const statuses[] = { "planned", "approved", "open", "closed", "analysed", "fed_back", "evaluated", "cancelled", NULL };
static const char *const systems[] = { "http://www.opengis.net/def/crs/OGC/1.3/CRS84", "http://www.opengis.net/def/crs/EPSG/0/4326",
				       "http://www.opengis.net/def/crs/EPSG/0/27700", "http://www.opengis.net/def/crs/EPSG/0/3857", NULL };

enum { BOX_MAX_CHARS = 200, TIME_MAX_CHARS = 80, OFFSET_MAX = 10000 };

/* clang-format off */
const struct parameter ogc_format_parameters[] = {
	{ .name = "f", .type = T_ENUM, .values = formats, .doc = "The format, for clients that name one: there is no other." },
	{ 0 },
};

const struct parameter ogc_items_parameters[] = {
	{ .name = "bbox", .type = T_TEXT, .min = 1, .max = BOX_MAX_CHARS,
	  .doc = "Only features that meet this box: west,south,east,north in degrees, or in the order and unit of `bbox-crs`; six numbers have heights, which are "
		 "passed over. One whose west is greater than its east goes over the antimeridian. What has no geometry meets no box." },
	{ .name = "bbox-crs", .type = T_ENUM, .values = systems, .doc = "Reference system of `bbox`; without it longitude and latitude (CRS84)." },
	{ .name = "crs", .type = T_ENUM, .values = systems,
	  .doc = "Reference system of the coordinates in the answer; without it longitude and latitude (CRS84). EPSG:4326 has latitude first." },
	{ .name = "datetime", .type = T_TEXT, .min = 2, .max = TIME_MAX_CHARS,
	  .doc = "A day, a moment, or two of them with / between, of which one may be open (`..`): localities in force in that time, and consultations that are open "
		 "then. Map items have no time and meet every one." },
	{ .name = "offset", .type = T_INT, .min = 0, .max = OFFSET_MAX, .doc = "Features to pass over before the first page. To go through all follow `next` links." },
	{ .name = "f", .type = T_ENUM, .values = feature_formats, .doc = "The format, for clients that name one: either is GeoJSON." },
	{ .name = "code", .type = T_TEXT, .min = 1, .max = 100, .doc = "Localities with this code." },
	{ .name = "name", .type = T_TEXT, .min = 1, .max = 200, .doc = "Localities and map items with exactly this name." },
	{ .name = "aspect", .type = T_ENUM, .values = aspects, .doc = "Map items of this aspect." },
	{ .name = "locality_id", .type = T_UUID, .doc = "Map items and consultations that name this locality." },
	{ .name = "status", .type = T_ENUM, .values = statuses, .doc = "Consultations of this status." },
	{ .name = "title", .type = T_TEXT, .min = 1, .max = 200, .doc = "Consultations with exactly this title." },
	{ 0 },
};

const struct parameter ogc_item_parameters[] = {
	{ .name = "crs", .type = T_ENUM, .values = systems,
	  .doc = "Reference system of the coordinates in the answer; without it longitude and latitude (CRS84). EPSG:4326 has latitude first." },
	{ .name = "f", .type = T_ENUM, .values = feature_formats, .doc = "The format, for clients that name one: either is GeoJSON." },
	{ 0 },
};
/* clang-format on */

const int tile_statuses[] = { 204, 0 };
