/* In every unit test: the environment's TEST, with * and ?, says which of its cases run. tests/one.py sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void take_filter(void)
{
	cmocka_set_test_filter(getenv("TEST"));
}
