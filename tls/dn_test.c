/* Tests of tls/dn.c: what is read, what is refused, what is equal. */
#include "tls/dn.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

/* A name as text: "2.5.4.3=a.b; 2.5.4.10=X + 2.5.4.11=Y". */
static void put_name(struct buf *b, const struct dn *d)
{
	for (size_t i = 0; i < d->n; i++)
		for (size_t j = 0; j < d->v[i].n; j++)
			buf_addf(b, "%s" STR_FMT "=" STR_FMT,
				 j > 0   ? " + "
				 : i > 0 ? "; "
					 : "",
				 STR_ARG(d->v[i].v[j].oid), STR_ARG(d->v[i].v[j].value));
}

static void test_read(void **state)
{
	static const struct {
		const char *text, *issuer, *subject;
	} table[] = {
		{ "<I>CN=R11, O=Let's Encrypt, C=US<S>CN=mail.contoso.com",
		  "2.5.4.3=R11; 2.5.4.10=Let's Encrypt; 2.5.4.6=US", "2.5.4.3=mail.contoso.com" },
		{ " <i>cn=X<s>cn = a.b ", "2.5.4.3=X", "2.5.4.3=a.b" },
		{ "<I>CN=G2, OU=http://x/r/, O=\"GoDaddy.com, Inc.\", S=Arizona<S>CN=*.contoso.com",
		  "2.5.4.3=G2; 2.5.4.11=http://x/r/; 2.5.4.10=GoDaddy.com, Inc.; 2.5.4.8=Arizona",
		  "2.5.4.3=*.contoso.com" },
		{ "<I>CN=\"A \"\"quoted\"\" CA\", O=Y<S>CN=a.b", "2.5.4.3=A \"quoted\" CA; 2.5.4.10=Y", "2.5.4.3=a.b" },
		{ "<I>CN=X + OU=Y, O=Z<S>CN=a.b", "2.5.4.3=X + 2.5.4.11=Y; 2.5.4.10=Z", "2.5.4.3=a.b" },
		{ "<I>E=ca@x.example,ST=Q<S>CN=a=b", "1.2.840.113549.1.9.1=ca@x.example; 2.5.4.8=Q", "2.5.4.3=a=b" },
		{ "<I>OID.2.5.4.97=NTR-1, 1.2.3=v<S>CN=a", "2.5.4.97=NTR-1; 1.2.3=v", "2.5.4.3=a" },
		{ "<I>CN=  a \t  b  ,O=\" c  d \"<S>CN=a", "2.5.4.3=a b; 2.5.4.10=c d", "2.5.4.3=a" },
		{ "<I>CN=\"<S>, + =\"<S>CN=a", "2.5.4.3=<S>, + =", "2.5.4.3=a" },
		{ "<I>CN=\xc3\x9cn\xc3\xaf<S>CN=a", "2.5.4.3=\xc3\x9cn\xc3\xaf", "2.5.4.3=a" },
		{ "<S>CN=a<I>CN=b", NULL, NULL },
		{ "<I>CN=a", NULL, NULL },
		{ "<I>CN=a<S>", NULL, NULL },
		{ "<I><S>CN=a", NULL, NULL },
		{ "CN=a", NULL, NULL },
		{ "", NULL, NULL },
		{ "<I>CN=a<S>CN=b<S>CN=c", NULL, NULL },
		{ "<I>CN=a<I>CN=b<S>CN=c", NULL, NULL },
		{ "<I>CN=a,<S>CN=b", NULL, NULL },
		{ "<I>CN=a +<S>CN=b", NULL, NULL },
		{ "<I>CN=<S>CN=b", NULL, NULL },
		{ "<I>CN=\"\"<S>CN=b", NULL, NULL },
		{ "<I>CN<S>CN=b", NULL, NULL },
		{ "<I>=a<S>CN=b", NULL, NULL },
		{ "<I>FOO=a<S>CN=b", NULL, NULL },
		{ "<I>OID.2=a<S>CN=b", NULL, NULL },
		{ "<I>OID.2.=a<S>CN=b", NULL, NULL },
		{ "<I>OID.2.05=a<S>CN=b", NULL, NULL },
		{ "<I>CN=\"a<S>CN=b", NULL, NULL },
		{ "<I>CN=a\"b\"<S>CN=b", NULL, NULL },
		{ "<I>CN=\"a\"b<S>CN=b", NULL, NULL },
		{ "<I>CN=a<b<S>CN=b", NULL, NULL },
		{ "<I>CN=\xff<S>CN=b", NULL, NULL },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct dn_reference ref;
		struct arena a;
		struct buf b;
		struct err e = { 0 };
		arena_init(&a, 65536);
		buf_init(&b, 1000);
		int ok = dn_parse_reference(str_c(table[i].text), &a, &ref, &e);
		if ((ok == 0) != (table[i].issuer != NULL))
			fail_msg("%s: %d %s", table[i].text, ok, e.text);
		assert_int_equal(e.code, ok == 0 ? ERR_NONE : ERR_SYNTAX);
		if (ok == 0) {
			put_name(&b, &ref.issuer);
			assert_string_equal(buf_cstr(&b), table[i].issuer);
			buf_reset(&b);
			put_name(&b, &ref.subject);
			assert_string_equal(buf_cstr(&b), table[i].subject);
		}
		buf_fini(&b);
		arena_fini(&a);
	}
}

/* Every prefix of a good reference is either good or refused, never read past. */
static void test_prefixes(void **state)
{
	static const char text[] = "<I>CN=\"A \"\"b\"\" C\" + OU=Y, OID.1.2=\xc3\x9c<S>E=a@b, O=c";
	(void)state;

	for (size_t n = 0; n < sizeof text; n++) {
		struct dn_reference ref;
		struct arena a;
		char *copy = malloc(n + 1); /* exact, so that asan sees an overrun */
		assert_non_null(copy);
		memcpy(copy, text, n);
		arena_init(&a, 4096);
		dn_parse_reference(str_n(copy, n), &a, &ref, NULL);
		arena_fini(&a);
		arena_init(&a, n); /* too little memory is a refusal too */
		dn_parse_reference(str_n(copy, n), &a, &ref, NULL);
		arena_fini(&a);
		free(copy);
	}
}

static void test_compare(void **state)
{
	static const struct {
		const char *a, *b;
		enum dn_order expect;
	} table[] = {
		{ "CN=a", "cn=A", DN_SAME },
		{ "CN=a, O=b", "CN=a,O=b", DN_SAME },
		{ "CN=a, O=b", "O=b, CN=a", DN_REVERSED },
		{ "CN=a, O=b, C=c", "O=b, CN=a, C=c", DN_DIFFERENT },
		{ "CN=a, O=b", "CN=a", DN_DIFFERENT },
		{ "CN=a", "O=a", DN_DIFFERENT },
		{ "CN=MAIL.Contoso.com,   O=Contoso   Ltd", "CN=mail.contoso.com, O=\"contoso LTD\"", DN_SAME },
		{ "S=x", "ST=x", DN_SAME },
		{ "OID.2.5.4.3=x", "CN=x", DN_SAME },
		{ "CN=X + OU=Y, O=Z", "OU=y + CN=x, O=z", DN_SAME },
		{ "CN=X + OU=Y", "CN=X, OU=Y", DN_DIFFERENT },
		{ "CN=X + CN=X", "CN=X + CN=Y", DN_DIFFERENT },
		/* composed and decomposed, small and capital */
		{ "CN=\xc3\x9cn\xc3\xaf"
		  "code CA",
		  "CN=u\xcc\x88ni\xcc\x88"
		  "code ca",
		  DN_SAME },
		{ "CN=\xc3\x9c", "CN=U", DN_DIFFERENT },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct arena arena;
		struct dn a, b;
		arena_init(&arena, 65536);
		assert_int_equal(dn_parse(str_c(table[i].a), &arena, &a, NULL), 0);
		assert_int_equal(dn_parse(str_c(table[i].b), &arena, &b, NULL), 0);
		if (dn_compare(&a, &b) != table[i].expect || dn_compare(&b, &a) != table[i].expect)
			fail_msg("%s and %s: %d", table[i].a, table[i].b, dn_compare(&a, &b));
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_read), cmocka_unit_test(test_prefixes),
					    cmocka_unit_test(test_compare) };

	return cmocka_run_group_tests_name("tls/dn", tests, NULL, NULL);
}
