/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "format.h"

static size_t put_unsigned(uint64_t value, unsigned base, size_t least, char *ret_text)
{
	char reversed[DECIMAL_MAX];
	size_t n = 0;
	for (; value != 0 || n < least; value /= base)
		reversed[n++] = "0123456789abcdef"[value % base];
	for (size_t i = 0; i < n; i++)
		ret_text[i] = reversed[n - 1 - i];
	return n;
}

size_t format_decimal(int64_t value, char *ret_text)
{
	bool negative = value < 0;
	if (negative)
		*ret_text++ = '-';
	return negative + put_unsigned(negative ? -(uint64_t)value : (uint64_t)value, 10, 1, ret_text);
}

void format_digits(unsigned value, size_t n, char *ret_text)
{
	for (; n > 0; value /= 10)
		ret_text[--n] = (char)('0' + value % 10);
}

static bool add(struct format_parts *parts, const char *text, size_t len)
{
	if (text == NULL || parts->n == FORMAT_PARTS_MAX)
		return false;
	parts->parts[parts->n++] = (struct slice){ text, len };
	parts->len += len;
	return true;
}

/* A number whose text was just written after the ones before it. */
static bool add_digits(struct format_parts *parts, size_t len)
{
	const char *text = parts->digits + parts->used;
	parts->used += len;
	return add(parts, text, len);
}

static bool is(const char *at, const char *conversion, size_t *ret_len)
{
	*ret_len = strlen(conversion);
	return strncmp(at, conversion, *ret_len) == 0;
}

/* The conversion after a '%'; *ret_len is its length in the format. The list of arguments is handed on by its address: each takes what is its own. */
static bool convert(struct format_parts *parts, const char *at, va_list *args, size_t *ret_len)
{
	char *digits = parts->digits + parts->used;
	if (FORMAT_DIGITS_MAX - parts->used < DECIMAL_MAX)
		return false;
	if (is(at, "s", ret_len)) {
		const char *text = va_arg(*args, const char *);
		return add(parts, text, text == NULL ? 0 : strlen(text));
	}
	if (is(at, "d", ret_len))
		return add_digits(parts, format_decimal(va_arg(*args, int), digits));
	if (is(at, "ld", ret_len))
		return add_digits(parts, format_decimal(va_arg(*args, long), digits));
	if (is(at, "u", ret_len))
		return add_digits(parts, put_unsigned(va_arg(*args, unsigned), 10, 1, digits));
	if (is(at, "zu", ret_len) || is(at, "lu", ret_len))
		return add_digits(parts, put_unsigned(va_arg(*args, size_t), 10, 1, digits));
	if (is(at, "016lx", ret_len))
		return add_digits(parts, put_unsigned(va_arg(*args, unsigned long), 16, 16, digits));
	if (is(at, "lx", ret_len))
		return add_digits(parts, put_unsigned(va_arg(*args, unsigned long), 16, 1, digits));
	if (is(at, ".*s", ret_len)) {
		int most = va_arg(*args, int);
		const char *text = va_arg(*args, const char *);
		return most >= 0 && text != NULL && add(parts, text, strnlen(text, (size_t)most));
	}
	return is(at, "%", ret_len) && add(parts, at, 1);
}

bool format_split(struct format_parts *parts, const char *format, va_list args)
{
	va_list rest;
	va_copy(rest, args);
	bool good = true;
	parts->n = parts->len = parts->used = 0;
	for (size_t len; good && *format != '\0'; format += len) {
		if (*format == '%') {
			good = convert(parts, ++format, &rest, &len);
		} else {
			len = strcspn(format, "%");
			good = add(parts, format, len);
		}
	}
	va_end(rest);
	return good;
}

void format_join(const struct format_parts *parts, char *ret_text)
{
	for (size_t i = 0; i < parts->n; i++) {
		memcpy(ret_text, parts->parts[i].ptr, parts->parts[i].len);
		ret_text += parts->parts[i].len;
	}
}
