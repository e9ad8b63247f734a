# SPDX-License-Identifier: AGPL-3.0-or-later
"""The table, from top to bottom."""
import rows_places
import rows_read
import rows_whole
import rows_write

PEERS = ("fastify", "fastify_awaiting", "fastapi", "go")
PEERS_QUICK = PEERS[:2]
ROWS = (rows_read.GetOne, rows_read.GetPublic, rows_read.GetUnchanged, rows_read.List, rows_read.Depth, rows_read.Private, rows_read.Finder, rows_read.Pull,
        rows_write.Changes, rows_write.PutUnchanged, rows_write.PutChanged, rows_read.Bbox, rows_places.Point, rows_places.BoxList,
        rows_places.FinderByPoint, rows_places.Tile, rows_write.Create, rows_write.Patch, rows_whole.Export, rows_whole.Token,
        rows_whole.Memory, rows_whole.Start, rows_whole.Mixed, rows_whole.Overload,
        rows_places.Import, rows_places.Overlap)  # last: they leave localities and work in the background
