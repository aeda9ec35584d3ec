/* The file of --pcap, read by a reader of its own: whole blocks, sizes that hold, and what a full disk does to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "softnet/capture/capture.h"
#include "softnet/capture/capture_options.h"
#include "softnet/methods/control_methods.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

enum { MIB = 1 << 20, FRAME = 1514, WALL_MS = 1795495700, SECTION_TYPE = 0x0a0d0d0a };

static char folder[] = "/tmp/test_capture.XXXXXX", path[64], path1[64], path2[64];
static struct options options;
static struct config config;
static struct relay relay;
static struct port guest = { .name = "fd:0" }, uplink = { .name = "tap:v\n1,bridge=br0" };
static struct capture own_capture, *const capture = &own_capture;
static uint8_t frame[FRAME];

static size_t describe(const void *context, char *text, size_t room)
{
	(void)context;
	return format_capture_options(
	    &(struct in_force){ &options, &config, &options.rules, &relay.vms, &relay.exposes }, text, room);
}

static int set_up(void **unused)
{
	static char *argv[] = { "softnet", "--vm-fd=0", "--vm-mac-address=52:54:00:00:00:0a", NULL };
	struct anchors nobody = { .host.count = 0 };
	struct error error;
	(void)unused;
	memset(&relay, 0, sizeof relay);
	memset(&config, 0, sizeof config);
	relay.port[FROM_GUEST] = &guest;
	relay.port[TO_GUEST] = &uplink;
	relay.now_ms = relay.started_ms = 5000;
	relay.started_wall_ms = WALL_MS;
	*capture = (struct capture){ .path = path,
				     .wants_all = true,
				     .size_max = MIB,
				     .files = 2,
				     .describe = describe,
				     .ports = { guest.name, uplink.name },
				     .wall_offset_ms = WALL_MS - relay.now_ms };
	for (int i = 0; i < FRAME; i++)
		frame[i] = (uint8_t)i;
	return parse_options(3, argv, &options, &error) && make_config(&options, &nobody, &config, &error) ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	finish_capture(capture, relay.now_ms);
	unlink(path);
	unlink(path1);
	unlink(path2);
	return 0;
}

static void start(void)
{
	assert_null(start_capture(capture, relay.now_ms));
}

/* The reader */

struct block {
	uint32_t type, length;
	const uint8_t *body;
};

static uint8_t file[4 * MIB];
static size_t file_length, at;

static void open_capture(const char *name)
{
	FILE *f = fopen(name, "rb");
	assert_non_null(f);
	file_length = fread(file, 1, sizeof file, f);
	fclose(f);
	at = 0;
}

static uint32_t number(const uint8_t *from)
{
	uint32_t n;
	memcpy(&n, from, sizeof n);
	return n;
}

static bool next_block(struct block *b)
{
	if (at == file_length)
		return false;
	assert_true(file_length - at >= 12);
	*b = (struct block){ number(file + at), number(file + at + 4), file + at + 8 };
	assert_true(b->length % 4 == 0 && b->length >= 12 && b->length <= file_length - at);
	assert_int_equal(number(file + at + b->length - 4), b->length);
	at += b->length;
	return true;
}

/* Into `text`; "": it is not there. Options must end where the block does. */
static const char *option(const struct block *b, uint32_t header, unsigned code, char text[70000])
{
	uint32_t place = header, end = b->length - 12;
	text[0] = '\0';
	for (;;) {
		uint16_t head[2];
		assert_true(place + 4 <= end);
		memcpy(head, b->body + place, 4);
		place += 4;
		if (head[0] == 0)
			break;
		if (head[0] == code) {
			memcpy(text, b->body + place, head[1]);
			text[head[1]] = '\0';
		}
		place += (head[1] + 3u) & ~3u;
	}
	assert_int_equal(place, end);
	return text;
}

struct summary {
	unsigned sections, interfaces, frames;
};

/* All of a file, every block of which must be sound, and a section the first. */
static struct summary read_capture(const char *name)
{
	struct summary sum = { 0, 0, 0 };
	struct block b;
	open_capture(name);
	while (next_block(&b)) {
		assert_true(sum.sections > 0 || b.type == SECTION_TYPE);
		sum.sections += b.type == SECTION_TYPE;
		sum.interfaces += b.type == 1;
		sum.frames += b.type == 6;
	}
	assert_int_equal(sum.interfaces, 2 * sum.sections);
	return sum;
}

static void capture_one(unsigned verdict)
{
	capture_frame(capture, FROM_GUEST, &(struct frame){ .bytes = frame, .length = FRAME }, verdict, relay.now_ms);
}

/* Tests */

static void blocks_are_those_of_the_standard(void **unused)
{
	static char text[70000];
	struct block b;
	(void)unused;
	start();
	relay.now_ms += 77;
	capture_frame(capture, TO_GUEST, &(struct frame){ .bytes = frame, .length = 61 }, DROP_DST_PRIVATE, relay.now_ms);
	capture_frame(capture, FROM_GUEST, &(struct frame){ .bytes = frame, .length = 0 }, PASS, relay.now_ms);
	finish_capture(capture, relay.now_ms);
	open_capture(path);
	assert_true(next_block(&b) && b.type == SECTION_TYPE && number(b.body) == 0x1a2b3c4d && number(b.body + 4) == 1);
	assert_int_equal(
	    strncmp(option(&b, 16, 1, text), "softnet " SOFTNET_VERSION "\n--vm-mac-address=52:54:00:00:00:0a\n", 40), 0);
	for (int side = 0; side < DIRECTIONS; side++) {
		assert_true(next_block(&b) && b.type == 1 && number(b.body) == 1 && number(b.body + 4) == 0);
		assert_string_equal(option(&b, 8, 2, text), side == FROM_GUEST ? "guest" : "uplink");
		assert_string_equal(option(&b, 8, 3, text), side == FROM_GUEST ? "fd:0" : "tap:v?1,bridge=br0");
		assert_string_equal(option(&b, 8, 9, text), "\3");
	}
	assert_true(next_block(&b) && b.type == 6 && number(b.body) == TO_GUEST);
	assert_true(number(b.body + 4) == 0 && number(b.body + 8) == WALL_MS + 77);
	assert_true(number(b.body + 12) == 61 && number(b.body + 16) == 61);
	assert_memory_equal(b.body + 20, frame, 61);
	assert_string_equal(option(&b, 20 + 64, 1, text),
			    "drop dst-private: destination is not global and no rule allows it");
	assert_true(next_block(&b) && b.type == 6 && number(b.body) == FROM_GUEST && number(b.body + 12) == 0);
	assert_string_equal(option(&b, 20, 1, text), "pass");
	assert_false(next_block(&b));
	assert_true(capture->frames == 2 && capture->lost == 0 && capture->octets == file_length);
}

static void drops_alone_where_nobody_asks_for_all(void **unused)
{
	(void)unused;
	capture->wants_all = false;
	start();
	capture_one(PASS);
	capture_one(DROP_DST_PRIVATE);
	follow_capture(capture, relay.now_ms);
	assert_int_equal(read_capture(path).frames, 1);
}

static void a_flood_stays_within_its_files(void **unused)
{
	struct stat status;
	(void)unused;
	start();
	for (int i = 0; i < 4000; i++) /* of 1514 octets: six files full */
		capture_one(i % 2 ? PASS : DROP_DST_PRIVATE);
	finish_capture(capture, relay.now_ms);
	assert_true(stat(path, &status) == 0 && status.st_size <= MIB && (status.st_mode & 0777) == 0600);
	assert_true(stat(path1, &status) == 0 && status.st_size <= MIB && status.st_size > MIB - 4096);
	assert_int_equal(access(path2, F_OK), -1);
	assert_true(read_capture(path1).sections == 1 && read_capture(path1).frames > 600);
	assert_true(read_capture(path).sections == 1);
	assert_true(capture->frames == 4000 && capture->lost == 0);
}

static void what_decides_begins_a_section(void **unused)
{
	(void)unused;
	start();
	capture_one(PASS);
	begin_capture_section(capture, relay.now_ms);
	begin_capture_section(capture, relay.now_ms);
	capture_one(PASS);
	finish_capture(capture, relay.now_ms);
	assert_int_equal(read_capture(path).sections, 3);
	assert_int_equal(read_capture(path).frames, 2);
}

/* As on a full disk: a part is written, then nothing is. */
static void a_file_that_may_not_grow_stays_whole(void **unused)
{
	struct rlimit old, limit;
	(void)unused;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	start();
	capture_one(PASS);
	follow_capture(capture, relay.now_ms);
	limit = old;
	limit.rlim_cur = 40000;
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 100; i++)
		capture_one(PASS);
	follow_capture(capture, relay.now_ms);
	capture_one(PASS); /* it is not tried again at once */
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(read_capture(path).frames, 1);
	assert_true(capture->frames == 1 && capture->lost == 101 && capture->octets == file_length);
	capture_one(PASS);
	assert_int_equal(capture->lost, 102);
	relay.now_ms += 5000;
	capture_one(PASS);
	follow_capture(capture, relay.now_ms);
	assert_true(capture->frames == 2 && capture->lost == 102);
	assert_int_equal(read_capture(path).frames, 2);
	assert_int_equal(read_capture(path).sections, 2); /* what stands behind the gap must not follow an older one */
}

static void what_others_move_is_begun_anew(void **unused)
{
	(void)unused;
	start();
	capture_one(PASS);
	assert_int_equal(rename(path, path2), 0);
	follow_capture(capture, relay.now_ms);
	capture_one(PASS);
	capture_one(PASS);
	finish_capture(capture, relay.now_ms);
	assert_int_equal(read_capture(path2).frames, 1);
	assert_int_equal(read_capture(path).frames, 2);
}

static void make_file(const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void an_older_capture_is_put_aside(void **unused)
{
	(void)unused;
	start();
	capture_one(PASS);
	finish_capture(capture, relay.now_ms);
	start();
	finish_capture(capture, relay.now_ms);
	assert_int_equal(read_capture(path1).frames, 1);
	assert_int_equal(read_capture(path).frames, 0);
}

static void nothing_else_is_replaced(void **unused)
{
	(void)unused;
	make_file("my notes");
	assert_string_equal(start_capture(capture, relay.now_ms),
			    "there is a file already that is no capture of pcapng");
	assert_int_equal(access(path1, F_OK), -1);
	assert_int_equal(rename(path, path1), 0); /* a name that the capture will want */
	assert_non_null(strstr(start_capture(capture, relay.now_ms),
			       "1 is in the way: there is a file already that is no capture of pcapng"));
	assert_int_equal(access(path, F_OK), -1);
	unlink(path1);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_string_equal(start_capture(capture, relay.now_ms), "expected a regular file, or none yet");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_string_equal(start_capture(capture, relay.now_ms), "expected a regular file, or none yet");
	unlink(path);
	capture->path = "/nowhere/vm.pcapng";
	assert_string_equal(start_capture(capture, relay.now_ms), "No such file or directory");
}

static void a_link_that_comes_later_is_not_followed(void **unused)
{
	struct stat status;
	(void)unused;
	start();
	unlink(path);
	assert_int_equal(symlink(path2, path), 0);
	for (int i = 0; i < 1000; i++)
		capture_one(PASS);
	follow_capture(capture, relay.now_ms);
	assert_int_equal(access(path2, F_OK), -1);
	assert_true(lstat(path, &status) == 0 && S_ISREG(status.st_mode));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(blocks_are_those_of_the_standard),        TEST(drops_alone_where_nobody_asks_for_all),
		TEST(a_flood_stays_within_its_files),          TEST(what_decides_begins_a_section),
		TEST(a_file_that_may_not_grow_stays_whole),    TEST(what_others_move_is_begun_anew),
		TEST(an_older_capture_is_put_aside),           TEST(nothing_else_is_replaced),
		TEST(a_link_that_comes_later_is_not_followed),
	};
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof path, "%s/vm", folder);
	snprintf(path1, sizeof path1, "%s/vm.1", folder);
	snprintf(path2, sizeof path2, "%s/vm.2", folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
