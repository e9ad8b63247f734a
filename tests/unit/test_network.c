/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Lists of networks, and the part of an address that stands for one client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wardmote/network.h"

static void lists_are_checked(void **state)
{
	(void)state;
	static const char *const good[] = { "", "127.0.0.1", "10.0.0.0/8, ::1", "2001:db8::/32", "0.0.0.0/0", "::/0,192.0.2.7/32" };
	static const char *const bad[] = { "10.0.0.0/33", "::/129",     "10.0.0/8",     "a", "10.0.0.0/", "10.0.0.0/8,,::1",
					   "10.0.0.0/-1", "1.2.3.4/1x", "10.0.0.0/0008" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(network_list_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(network_list_valid(bad[i]));
}

static void an_address_is_found_in_its_network(void **state)
{
	(void)state;
	static const struct {
		const char *list, *address;
		bool in;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.1.2.128/25", "10.1.2.129", true },
		{ "10.1.2.128/25", "10.1.2.127", false },
		{ "::1", "::1", true },
		{ "::1", "127.0.0.1", false },
		{ "127.0.0.1", "::ffff:127.0.0.1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "0.0.0.0/0", "192.0.2.1", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "", "127.0.0.1", false },
		{ "192.0.2.1, 10.0.0.0/8", "10.0.0.1", true },
		{ "::/0", "nobody", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(network_list_has(rows[i].list, slice_of(rows[i].address)), rows[i].in);
}

static void a_client_counts_by_its_network(void **state)
{
	(void)state;
	char one[NETWORK_KEY_MAX], other[NETWORK_KEY_MAX];
	network_key("192.0.2.1", one);
	assert_string_equal(one, "192.0.2.1");
	network_key("2001:db8:0:1:2:3:4:5", one);
	network_key("2001:db8:0:1:ffff::9", other);
	assert_string_equal(one, other);
	network_key("2001:db8:0:2::1", other);
	assert_string_not_equal(one, other);
	network_key("::ffff:192.0.2.1", one);
	assert_string_equal(one, "192.0.2.1");
	network_key("::FFFF:192.0.2.2", other);
	assert_string_equal(other, "192.0.2.2");
	network_key("nobody", one);
	assert_string_equal(one, "nobody");
	assert_false(network_is_address((struct slice){ "192.0.2.1\0x", 11 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_checked),
		cmocka_unit_test(an_address_is_found_in_its_network),
		cmocka_unit_test(a_client_counts_by_its_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
