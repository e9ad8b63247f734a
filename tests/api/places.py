# SPDX-License-Identifier: AGPL-3.0-or-later
"""Places for tests: squares in the Atlantic, each test module in a part of its own, and postcodes that nobody has."""
from wardmote_records import unique


def ring(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def square(west, south, size):
    return {"type": "Polygon", "coordinates": [ring(west, south, west + size, south + size)]}


class Ground:
    """Localities of an administrator's on ground of their own: `x`, `y` is its south-western corner, and nothing else lies within a degree of it."""

    def __init__(self, administrator, part):
        self.administrator = administrator
        self.x, self.y = -50.0 + 4 * part, 30.0

    def boundary_set(self, **members):
        answer = self.administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Set", **members})
        assert answer.status == 201, answer.text()
        return answer.json()["id"]

    def locality(self, boundary_set, geometry=None, **members):
        body = {"boundary_set_id": boundary_set, "code": unique("P"), "name": "Place", "geometry": geometry, **members}
        answer = self.administrator.post("/v1/localities", body)
        assert answer.status == 201, answer.text()
        return answer.json()["id"]

    def square(self, boundary_set, east, north, size, **members):
        """A square whose corner is so far from that of the ground, in degrees."""
        return self.locality(boundary_set, square(self.x + east, self.y + north, size), **members)

    def at(self, east, north):
        return f"{self.x + east:.6f},{self.y + north:.6f}"

    def box(self, west, south, east, north):
        return f"{self.at(west, south)},{self.at(east, north)}"


def postcode(cluster, text, longitude, latitude):
    """Loads one, as an import would."""
    connection = cluster.connect("postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO wardmote.postcode (postcode, point, quality, as_at, source) VALUES (%s, public.ST_SetSRID(public.ST_MakePoint(%s, %s), 4326),"
                       " 10, '2026-08-01', 'Made for a test')", (text, longitude, latitude))
    connection.close()
