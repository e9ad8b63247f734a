# SPDX-License-Identifier: AGPL-3.0-or-later
"""PostgreSQL through asyncpg. It sends one message at a time, so a transaction costs a round trip for each; what was measured is in ../README.md."""
import asyncpg

SETTINGS = {"TimeZone": "UTC", "search_path": "pg_catalog,public", "jit": "off", "max_parallel_workers_per_gather": "0"}


class Connection(asyncpg.Connection):
    """Nothing but transactions changes a connection's state, so it need not be reset (a round trip) when it goes back to the pool."""

    def get_reset_query(self):
        return ""


class NoActor(Exception):
    """The token's account was disabled or changed."""


async def open_pool(url, size, plans):
    return await asyncpg.create_pool(url, min_size=size, max_size=size, connection_class=Connection, max_inactive_connection_lifetime=0,
                                     server_settings={**SETTINGS, "plan_cache_mode": plans})


class Database:
    """Two sets of connections: one keeps the plan of each statement, the other plans anew for the values of each request."""

    async def open(self, url, size):
        self.kept = await open_pool(url, size, "force_generic_plan")
        self.anew = await open_pool(url, size, "force_custom_plan")

    async def close(self):
        await self.kept.close()
        await self.anew.close()

    async def read(self, act, actor, text, values, anew=False):
        """The statement's row, or None. The settings of the context are unset at the start of a transaction, which is what the anonymous act with."""
        async with (self.anew if anew else self.kept).acquire() as connection:
            if actor is None:
                return await connection.fetchrow(text, *values)
            async with connection.transaction(readonly=True):
                if await connection.fetchrow(act, *actor) is None:
                    raise NoActor
                return await connection.fetchrow(text, *values)

    async def write(self, act, actor, text, values):
        async with self.kept.acquire() as connection, connection.transaction():
            if await connection.fetchrow(act, *actor) is None:
                raise NoActor
            return await connection.fetchrow(text, *values)
