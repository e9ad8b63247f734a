# SPDX-License-Identifier: AGPL-3.0-or-later
"""A superuser's connection that becomes the server's role: for tests of one wall of the database by itself, with those before it taken down."""
import contextlib

import psycopg2

RANKS = {"viewer": 1, "officer": 2, "manager": 3, "administrator": 4}
REFUSED = ("42501", "WM403")


class Wall:
    """A superuser's connection that becomes the server's role, in a context that it forges, within a transaction that is always rolled back."""

    def __init__(self, cluster):
        self.connection = cluster.connect("postgres")
        self.owner = cluster.connect()

    @contextlib.contextmanager
    def acting(self, *before, role=None, partner_id=None, account_id=None, server=True, **settings):
        """`before` are statements that take other walls down first."""
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN; SET LOCAL search_path = pg_catalog, public")
            try:
                for text in before:
                    cursor.execute(text)
                values = {"rank": str(RANKS.get(role, 0)), "partner": partner_id or "", "account": account_id or "", **settings}
                for name, value in values.items():
                    cursor.execute("SELECT set_config(%s, %s, true)", (f"wardmote.{name}", value))
                cursor.execute("SET LOCAL ROLE " + ("wardmote_api" if server else "wardmote_owner"))
                yield cursor
            finally:
                cursor.execute("ROLLBACK")

    def rows(self, text, values=()):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()

    def close(self):
        self.connection.close()
        self.owner.close()


def attempt(cursor, text, values=()):
    """Rows that a statement wrote; None where access refuses it. That a constraint refuses it means that access did not."""
    cursor.execute("SAVEPOINT attempt")
    try:
        cursor.execute(text, values)
        return cursor.rowcount
    except psycopg2.Error as error:
        if error.pgcode[:2] == "23":
            return 1
        if error.pgcode in REFUSED:
            return None
        raise
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT attempt")
