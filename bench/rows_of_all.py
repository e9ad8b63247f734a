# SPDX-License-Identifier: AGPL-3.0-or-later
"""The table, from top to bottom."""
import rows_read

PEERS = ("fastify", "fastapi", "go")  # the first also with --quick
ROWS = (rows_read.GetOne, rows_read.GetPublic, rows_read.GetUnchanged, rows_read.List, rows_read.Depth, rows_read.Private, rows_read.Finder, rows_read.Pull,
        rows_read.Bbox)
