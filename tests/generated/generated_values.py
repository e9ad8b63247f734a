# SPDX-License-Identifier: AGPL-3.0-or-later
"""Values for parameters and members, drawn by Hypothesis: as a schema wants them, with one fault, or hostile."""
import datetime
import uuid

from hypothesis import strategies as st

WORDS = ["Lakenham", "crossing", "a b", "Ärger", "日本", "O'Neil", "100%", "x" * 40, "e\u0301", "\U0001f600", "-", "ok."]
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, blacklist_categories=("Cc", "Cs")), min_size=1, max_size=12))

SQL = ["'", "''", "\"", "\\", "\\'", "';--", "' OR '1'='1", "' OR 1=1--", "\" OR \"\"=\"", "') OR ('1'='1", "1; DROP TABLE wardmote.partner;--",
       "' UNION SELECT NULL,NULL,NULL--", "'||(SELECT pg_sleep(5))||'", "$$", "$1", "$tag$x$tag$", "%' ESCAPE '!", "_%_", "E'\\x27'", "U&'\\0027'",
       "1)) UNION SELECT 1--", "::int", "'::regclass", "CAST('x' AS int)", "/*", "*/", "--", ";", "\\x00", "{}", "{\"a\":1}", "[1]", "NULL", "null", "true",
       "infinity", "-infinity", "NaN", "now", "epoch", "today", "0x1p3", "1e400", "current_setting('wardmote.partner')", "(select wardmote.ctx_partner())"]
PATHS = ["..", "../..", "/etc/passwd", "%2e%2e", "%2f", "..%2f..", "\\..\\", "%00", "%c0%af", ";x=y", ".csv", ".json", ".geojson", "~root", "//", "file:///etc/passwd",
         "http://169.254.169.254/", "${jndi:ldap://x}", "{{7*7}}", "<script>alert(1)</script>", "|id", "`id`", "$(id)", "%n%n%s", "\r\nX: y"]
UNICODE = ["\u202e\u2066x", "\ufeff", "\u0000", "\ud800", "\udfff\ud800", "\uffff", "\ufdd0", "\U0010ffff", "\u200b", "I\u0307", "\u0130", "ß", "ﬁ", "\u0085", "\u2028",
           "Z\u0351\u036b" * 50, "\x1b[31m", "\x7f", "\x01", "a\tb", "a\nb", "\U000e0041", "\u00ad"]
NUMBERS = [0, -1, 1, 2 ** 31 - 1, 2 ** 31, -2 ** 31 - 1, 2 ** 53, 2 ** 53 + 1, 2 ** 63 - 1, 2 ** 63, -2 ** 63, -2 ** 63 - 1, 2 ** 64, 10 ** 30, 1.5, -0.0, 1e308, 5e-324, 1e-400,
           0.1, 1e15]
LONG = st.builds(lambda unit, count: unit * count, st.sampled_from(["a", "ä", "\U0001f600", "'", "%", "\\", "\"", " ", "a,", "1", "-", "/"]), st.sampled_from([199, 201, 1001, 2001, 4001]))
HOSTILE_TEXT = st.one_of(st.sampled_from(SQL), st.sampled_from(PATHS), st.sampled_from(UNICODE), LONG, st.text(max_size=20), st.sampled_from(NUMBERS).map(str),
                         st.sampled_from(["", " ", ",", ",,", "a,", "=", "&", "?", "#", "+", "\u00a0"]))


def nested(depth, kind):
    value = 1
    for _ in range(depth):
        value = [value] if kind == "array" else {"a": value}
    return value


HOSTILE = st.one_of(HOSTILE_TEXT, st.sampled_from(NUMBERS), st.sampled_from([None, True, False, [], {}, [[]], [None], {"": ""}, {"__proto__": 1}, {"$ref": "#"}]),
                    st.builds(nested, st.sampled_from([5, 29, 31, 33, 60]), st.sampled_from(["array", "object"])),
                    st.lists(st.one_of(HOSTILE_TEXT, st.sampled_from(NUMBERS)), max_size=4),
                    st.builds(lambda count: ["x"] * count, st.sampled_from([501, 9000, 10001])))


def kinds(schema):
    kind = schema.get("type", "object" if "properties" in schema else None)
    return kind if isinstance(kind, list) else [kind]


class Maker:
    """Values that a schema allows, with references to records that there are."""

    def __init__(self, draw, references, codes):
        self.draw = draw
        self.references = references   # of a resource: ids
        self.codes = codes             # of a list: codes

    def value(self, schema, depth=0):
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema or "oneOf" in schema:
            return self.value(self.draw(st.sampled_from(schema.get("anyOf") or schema["oneOf"])), depth)
        if "enum" in schema:
            return self.draw(st.sampled_from(schema["enum"]))
        options = kinds(schema)
        if "null" in options and self.draw(st.integers(0, 9)) == 0:
            return None
        kind = next(kind for kind in options if kind != "null") if options != ["null"] else "null"
        return getattr(self, f"_{kind or 'any'}")(schema, depth)

    def _null(self, schema, depth):
        del schema, depth

    def _any(self, schema, depth):
        del schema, depth
        return self.draw(TEXTS)

    def _boolean(self, schema, depth):
        del schema, depth
        return self.draw(st.booleans())

    def _integer(self, schema, depth):
        del depth
        low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
        return self.draw(st.one_of(st.sampled_from([low, high]), st.integers(low, min(high, low + 1000))))

    def _number(self, schema, depth):
        del depth
        low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
        return self.draw(st.sampled_from([low, high, *(value for value in (0.25, 1.25, 52.6) if low <= value <= high)]))

    def _string(self, schema, depth):
        del depth
        if "x-code-list" in schema:
            return self.draw(st.sampled_from(self.codes(schema["x-code-list"])))
        if "x-refers" in schema or schema.get("format") == "uuid":
            ids = self.references(schema.get("x-refers"))
            return self.draw(st.sampled_from(ids)) if ids else str(uuid.uuid4())
        if schema.get("format") == "date":
            return self.draw(st.dates(datetime.date(1990, 1, 1), datetime.date(2090, 1, 1))).isoformat()
        if schema.get("format") == "date-time":
            return self.draw(st.sampled_from(["2026-01-01T00:00:00Z", "2027-11-22T01:02:03.123456Z", "2026-06-01T12:00:00+01:00"]))
        if schema.get("format") == "uri" or schema.get("pattern", "").startswith("^[Hh]"):
            return self.draw(st.sampled_from(["https://example.org/a", "http://example.org/?q=1&r=2", "https://xn--bcher-kva.example/%C3%A4"]))
        return self._text(schema)

    def _text(self, schema):
        pattern = schema.get("pattern", "")
        if "2[0-3]" in pattern:
            return self.draw(st.sampled_from(["00:00", "23:59", "12:30:15"]))
        if pattern.startswith("^-?(180"):
            return self.draw(st.sampled_from(["1.2,52.6,1.35,52.7", "179,-10,-179,10"] if schema["maxLength"] > 40 else ["1.29,52.63", "-180,90", "0,0"]))
        if pattern.startswith(("^[A-Za-z0-9", "^[a-z0-9", "^[\\x21")):
            return self.draw(st.text("abcdefgh0123456789-", min_size=max(1, schema.get("minLength", 1)), max_size=24))
        if pattern.startswith("^[\\x20-"):
            return self.draw(st.sampled_from(["wait=30", "respond-async, wait=1", "wait=0", "return=minimal", "handling=strict; x=\"a, b\"", "wait", ","]))
        if pattern.startswith("^(\\*"):
            return self.draw(st.sampled_from(["*", "\"a\"", "\"a\", \"b\""]))
        least, most = schema.get("minLength", 0), schema.get("maxLength", 200)
        text = self.draw(TEXTS)
        text = text + "x" * (least - len(text))
        return text[:most] if self.draw(st.integers(0, 19)) else "é" * most if most <= 4000 else text

    def _array(self, schema, depth):
        if "x-refers" in schema or "x-code-list" in schema:
            items = {**schema["items"], **{name: schema[name] for name in ("x-refers", "x-code-list") if name in schema and schema["items"].get("type") == "string"}}
        else:
            items = schema["items"]
        least = schema.get("minItems", 0)
        most = max(least, min(schema.get("maxItems", 3), 3))
        values = [self.value(items, depth + 1) for _ in range(self.draw(st.integers(least, most)))]
        return [value for at, value in enumerate(values) if value not in values[:at]] if schema.get("uniqueItems") else values

    def _object(self, schema, depth):
        required = set(schema.get("required", []))
        chance = 3 if depth else 4
        return {name: self.value(part, depth + 1) for name, part in schema.get("properties", {}).items()
                if name in required or self.draw(st.integers(0, 9)) < chance}


def faulty(draw, schema):
    """Values that each break the schema in one way; whoever asks makes sure that they do."""
    wrong = [value for kind, value in (("string", "text"), ("integer", 7.5), ("boolean", "yes"), ("array", {"a": 1}), ("object", ["x"]), ("number", "NaN"))
             if kind not in kinds(schema)]
    wrong += [12, {}, []] if "string" in kinds(schema) else ["x"]
    if "enum" in schema:
        wrong += ["no-such-value", "", str(schema["enum"][0]).upper() + "x"]
    if "maxLength" in schema:
        wrong.append("x" * (schema["maxLength"] + 1))
    if schema.get("minLength"):
        wrong.append("")
    wrong += [schema["maximum"] + 1] if "maximum" in schema else []
    wrong += [schema["minimum"] - 1] if "minimum" in schema else []
    if schema.get("format") in ("uuid", "date", "date-time", "uri"):
        wrong += ["x", "2026-02-30", "2026-13-01T00:00:00Z", "00000000-0000-0000-0000-00000000000", "javascript:alert(1)", " "]
    if "pattern" in schema:
        wrong += ["\u0007", "a\u0085b"]
    if "array" in kinds(schema) and schema.get("maxItems", 10000) <= 600 and schema["items"].get("type") == "string":
        wrong.append([f"{number}" for number in range(schema["maxItems"] + 1)])
    if "null" not in kinds(schema) and None not in schema.get("enum", []):
        wrong.append(None)
    return draw(st.sampled_from(wrong))
