# SPDX-License-Identifier: AGPL-3.0-or-later
"""The functions of migration 0020 that statements of several families are made of: places from parameters, settings, scopes."""
import pytest


@pytest.fixture(scope="module", name="ask")
def _ask(cluster):
    """One value, as the server's role, with settings of the moment."""
    connection = cluster.connect("wardmote_api")

    def ask(text, *values, **settings):
        with connection.cursor() as cursor:
            cursor.execute("BEGIN; SET LOCAL search_path = pg_catalog, public")
            for name, value in settings.items():
                cursor.execute("SELECT set_config(%s, %s, true)", (f"wardmote.{name}", value))
            cursor.execute(text, values or None)
            found = cursor.fetchone()[0]
            cursor.execute("ROLLBACK")
            return found

    yield ask
    connection.close()


def test_a_position(ask):
    assert ask("SELECT ST_AsEWKT(wardmote.position('1.2966,52.6285'))") == "SRID=4326;POINT(1.2966 52.6285)"
    assert ask("SELECT wardmote.position(NULL) IS NULL")


@pytest.mark.parametrize("box, inside, outside", [
    ("1.2,52.6,1.4,52.7", ["1.3,52.65", "1.2,52.6"], ["1.1,52.65", "1.3,52.8", "52.65,1.3"]),
    ("1.2,52.6,-10,1.4,52.7,100", ["1.3,52.65"], ["1.1,52.65", "1.3,52.8"]),
    ("170,-20,-170,-10", ["175,-15", "-175,-15", "180,-15", "-180,-15"], ["0,-15", "165,-15", "-165,-15", "175,-5"]),
    ("1.3,52.65,1.3,52.65", ["1.3,52.65"], ["1.3,52.66"]),
    ("1.2,52.65,1.4,52.65", ["1.3,52.65"], ["1.3,52.66"]),
])
def test_a_box(ask, box, inside, outside):
    found = {point: ask("SELECT ST_Intersects(wardmote.box(%s), wardmote.position(%s))", box, point) for point in inside + outside}
    assert found == {**dict.fromkeys(inside, True), **dict.fromkeys(outside, False)}
    assert ask("SELECT ST_SRID(wardmote.box(%s))", box) == 4326


@pytest.mark.parametrize("metres", [1, 1000, 50000])
def test_everything_near_is_within_the_box_around(ask, metres):
    """On circles at every latitude: the box never leaves out what the distance would find, and away from the poles is not much wider."""
    missed = ask("""SELECT array_agg(DISTINCT round(ST_Y(place)::numeric, 2)) FROM (SELECT ST_SetSRID(ST_MakePoint(x, y), 4326) AS place
            FROM unnest('{-179.99,0,1.3,180}'::float8[]) x, generate_series(-90, 90, 0.99) y) AS p CROSS JOIN generate_series(0, 345, 15) AS bearing
        CROSS JOIN LATERAL (SELECT ST_Project(place::geography, %s, radians(bearing))::geometry AS far) AS f
        WHERE NOT far && wardmote.around(place, %s)""", metres * 0.9999, metres)
    assert missed is None
    width = ask("SELECT ST_Distance(ST_SetSRID(ST_MakePoint(ST_XMin(b), 52.6), 4326)::geography, ST_SetSRID(ST_MakePoint(ST_XMax(b), 52.6), 4326)::geography)"
                " FROM wardmote.around(wardmote.position('1.3,52.6'), %s) AS b", metres)
    assert 2 * metres <= width <= 2.1 * metres


def test_around_an_area(ask):
    assert ask("SELECT wardmote.around(wardmote.box('1.2,52.6,1.4,52.7'), 1000) ~ wardmote.box('1.186,52.592,1.414,52.708')")
    assert ask("SELECT wardmote.around(NULL, 1000) IS NULL")


NORWICH, SWAPPED = "1.2,52.6,1.4,52.7", "52.6,1.2,52.7,1.4"
UNITED_KINGDOM = "-9,49,2.5,61"


@pytest.mark.parametrize("place, extent, swapped", [
    (NORWICH, UNITED_KINGDOM, False), (SWAPPED, UNITED_KINGDOM, True), (SWAPPED, "", False), (NORWICH, "", False),
    ("10,20,11,21", UNITED_KINGDOM, False),  # outside, and outside the other way round
    ("2,50,60,51", UNITED_KINGDOM, False),  # reaches in
    ("49,-9.5,50,-8", UNITED_KINGDOM, False),  # the other way round it lies inside in part only
    (SWAPPED, "170,-20,-170,-10", False), ("-15,175,-14,176", "170,-20,-170,-10", True),
])
def test_swapped_axes(ask, place, extent, swapped):
    assert ask("SELECT wardmote.axes_swapped(wardmote.box(%s))", place, map_extent=extent) is swapped


def test_nothing_has_no_axes(ask):
    assert ask("SELECT wardmote.axes_swapped(NULL)", map_extent=UNITED_KINGDOM) is False
    assert ask("SELECT wardmote.axes_swapped(ST_GeomFromText('MULTIPOLYGON EMPTY', 4326))", map_extent=UNITED_KINGDOM) is False


def test_without_settings(ask):
    assert ask("SELECT wardmote.public_url()") == ""
    assert ask("SELECT wardmote.axes_swapped(wardmote.box(%s))", SWAPPED) is False
    assert ask("SELECT wardmote.may_read('localities')")
    assert ask("SELECT wardmote.public_url()", public_url="https://example.org/base") == "https://example.org/base"


@pytest.mark.parametrize("scopes, may", [("", True), ("localities:read", True), ("risks:read localities:read", True), ("localities:write", False), ("risks:read", False),
                                         ("localities:reader", False), ("sub-localities:read", False)])
def test_what_a_token_may_read(ask, scopes, may):
    assert ask("SELECT wardmote.may_read('localities')", scopes=scopes) is may
