/* --state: what comes back after a restart, and all the ways in which a file is not believed. */
#include <signal.h>
#include <sys/resource.h>

#include "saved_state.h"

static void everything_comes_back(void **unused)
{
	struct stat status;
	(void)unused;
	assert_null(load());
	assert_memory_equal(&loaded, &state, sizeof state);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void no_file_is_no_fault(void **unused)
{
	(void)unused;
	unlink(path);
	NOT_BELIEVED("");
}

static void transactions_and_static_addresses_stay_behind(void **unused)
{
	(void)unused;
	state.dhcp4[0] = (struct transaction){ .id = 7, .deadline_ms = UINT64_MAX };
	state.ipv4[0].state = BINDING_STATIC;
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_int_equal(loaded.dhcp4[0].deadline_ms, 0);
	assert_true(same_address(loaded.ipv4[0].address, address_of_ipv4(SECOND)));
	assert_int_equal(loaded.ipv4[1].state, BINDING_NONE);
}

static void the_earlier_clock_ends_a_lease(void **unused)
{
	(void)unused;
	assert_null(load_at(start.now_ms + 100000, start.wall_ms + 100000)); /* both: 500 s left */
	assert_true(loaded.ipv4[0].expires_ms == 1600000);
	assert_null(load_at(start.now_ms + 100000, start.wall_ms + 300000)); /* wall: 300 s left */
	assert_true(loaded.ipv4[0].expires_ms == start.now_ms + 100000 + 300000);
	assert_true(loaded.learned.servers[0].until_ms == start.now_ms + 100000 + 300000);
	assert_null(load_at(start.now_ms + 599999, start.wall_ms - 86400000)); /* wall set back: boot clock has 1 ms */
	assert_true(loaded.ipv4[0].expires_ms == 1600000);
	assert_null(load_at(start.now_ms + 600000, start.wall_ms));
	assert_false(owns_address4(&loaded, address_of_ipv4(GUEST), start.now_ms + 600000));
	assert_true(loaded.learned.servers[0].until_ms == 0);
	assert_null(load_at(start.now_ms, start.wall_ms + 600000));
	assert_false(owns_address4(&loaded, address_of_ipv4(GUEST), start.now_ms));
	assert_true(owns_address4(&loaded, address_of_ipv4(SECOND), start.now_ms)); /* that one never ends */
}

static void another_vm_boot_or_configuration(void **unused)
{
	(void)unused;
	file.owner.vm_mac++;
	NOT_BELIEVED("it belongs to another VM");
	open_file();
	file.owner.boot_id = "boot-2";
	NOT_BELIEVED("the machine was restarted since");
	file.owner.boot_id = "";
	NOT_BELIEVED("this system does not tell when it was started");
	open_file();
	file.owner.config_hash++;
	NOT_BELIEVED("the options differ now");
}

static void addresses_that_became_somebody_elses(void **unused)
{
	(void)unused;
	set_add(&config.host, address_of_ipv4(GUEST));
	assert_null(load());
	assert_false(owns_address4(&loaded, address_of_ipv4(GUEST), start.now_ms));
	assert_true(owns_address4(&loaded, address_of_ipv4(SECOND), start.now_ms));
}

static void every_flipped_bit_is_seen(void **unused)
{
	char text[8192];
	size_t length = read_all(text, sizeof text);
	(void)unused;
	for (size_t i = 0; i < length * 8; i++) {
		text[i / 8] ^= (char)(1 << i % 8);
		/* The sum is written in hexadecimal, where a flipped bit may make a capital of a letter. */
		if (!load_text(text, length))
			assert_true(i / 8 >= length - 17 && (text[i / 8] & 0x40) != 0);
		else
			assert_true(is_empty());
		text[i / 8] ^= (char)(1 << i % 8);
	}
}

static void every_truncation_is_seen(void **unused)
{
	char text[8192];
	size_t length = read_all(text, sizeof text);
	(void)unused;
	for (size_t i = 0; i < length; i++) {
		assert_non_null(load_text(text, i));
		assert_true(is_empty());
	}
	write_over(text, length - 1);
	NOT_BELIEVED("it is damaged");
}

/* Damage with a right sum: what a later version or a program with an error might write. */
static void sealed_nonsense_is_no_state(void **unused)
{
	static const char *const bodies[] = {
		"",
		"lease\n",
		"mac 52:54:00:00:00:0a\n",
		"lease a b c\n",
		"x y\n",
		"\n",
		"mac\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1 2\nlease 1.2.3.4 24 bound "
		"9999999999 9\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1 2\nlease 10.0.0.1 33 bound never "
		"never 0 0 "
		"- 0:0:0:0:0:0 - -\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1 2\nlease fd00::1 24 bound never "
		"never 0 0 "
		"- 0:0:0:0:0:0 - -\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1 2\nclient 1 never 5\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1\n",
		"boot boot-1\nmac 52:54:00:00:00:0a\nconfig 000000000000002a\nkey 1 2\n",
		"mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1 2\n1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 "
		"7\n",
	};
	(void)unused;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		if (!load_sealed(bodies[i]))
			fail_msg("taken: %s", bodies[i]);
		assert_true(is_empty());
	}
}

static void other_versions(void **unused)
{
	(void)unused;
	write_over("softnet-state 1\nsum 0000000000000000\n", 37);
	NOT_BELIEVED("it is no state file of this version");
	write_over("{}\n", 3);
	NOT_BELIEVED("it is no state file of this version");
}

static void files_that_others_may_have_written(void **unused)
{
	char elsewhere[300];
	(void)unused;
	chmod(path, 0620);
	NOT_BELIEVED("others may write to it");
	chmod(path, 0602);
	NOT_BELIEVED("others may write to it");
	chmod(path, 0600);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		NOT_BELIEVED("it belongs to another user");
	}
	snprintf(elsewhere, sizeof elsewhere, "%s.link", path);
	rename(path, elsewhere);
	assert_int_equal(symlink(elsewhere, path), 0);
	NOT_BELIEVED("it is a symbolic link");
	unlink(path);
	unlink(elsewhere);
	assert_int_equal(mkdir(path, 0700), 0);
	NOT_BELIEVED("it is no regular file");
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	NOT_BELIEVED("it is no regular file"); /* and does not wait for a writer */
}

static void files_of_any_size(void **unused)
{
	static char text[STATE_TEXT_MAX + 2];
	(void)unused;
	memset(text, 'x', sizeof text);
	write_over(text, STATE_TEXT_MAX + 1);
	NOT_BELIEVED("it is too long");
	write_over(text, STATE_TEXT_MAX);
	NOT_BELIEVED("it is no state file of this version");
	write_over(text, 0);
	NOT_BELIEVED("it is no state file of this version");
}

static ino_t file_number(void)
{
	struct stat status;
	return stat(path, &status) == 0 ? status.st_ino : 0;
}

static void written_on_change_and_at_most_once_a_second(void **unused)
{
	struct moment later = { start.now_ms + 1500, start.wall_ms + 1502 };
	char text[8192];
	(void)unused;
	ino_t first = file_number();
	state.ipv4[0].used_ms += 1500; /* no right has changed */
	file.has_changed = true;
	save_state_file(&file, &state, later, false);
	assert_true(file_number() == first);
	state.ipv4[0].expires_ms += 60000;
	file.has_changed = true;
	save_state_file(&file, &state, (struct moment){ start.now_ms + 999, start.wall_ms }, false);
	assert_true(file_number() == first);
	save_state_file(&file, &state, later, false);
	assert_true(file_number() != first);
	assert_true(read_all(text, sizeof text) > 0);
	assert_null(load_at(later.now_ms, later.wall_ms));
	assert_true(loaded.ipv4[0].expires_ms == 1660000);
}

/* Who is killed a moment after a RELEASE must not bring the address back, which is somebody else's by then. */
static void a_lost_right_is_written_at_once(void **unused)
{
	struct moment soon = { start.now_ms + 1, start.wall_ms + 1 };
	(void)unused;
	state.ipv4[0].state = BINDING_NONE;
	state.ipv4[0].expires_ms = 0;
	file.has_changed = true;
	assert_false(is_due(&file, soon.now_ms));
	save_state_file(&file, &state, soon, true);
	assert_false(has_news_of_kept(&file));
	assert_null(load_at(soon.now_ms, soon.wall_ms));
	assert_false(owns_address4(&loaded, address_of_ipv4(GUEST), soon.now_ms));
	assert_false(is_due(&file, soon.now_ms)); /* and only once */
	file.has_changed = true;
	assert_true(is_due(&file, soon.now_ms + SAVE_INTERVAL_MS));
}

static void a_link_is_replaced_not_followed(void **unused)
{
	char elsewhere[300];
	struct stat status;
	(void)unused;
	snprintf(elsewhere, sizeof elsewhere, "%s.victim", path);
	unlink(path);
	assert_int_equal(symlink(elsewhere, path), 0);
	state.ipv4[0].expires_ms++;
	save_state_file(&file, &state, start, true);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(access(elsewhere, F_OK), -1);
}

static void what_a_killed_guard_left_beside_it_goes(void **unused)
{
	static const char *const stay[] = {
		"", ".1.new", ".0.new", ".999999999.old", ".999999999.new.1", "x.999999999.new"
	};
	char name[300], of_us[300];
	(void)unused;
	for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
		snprintf(name, sizeof name, "%s%s", path, stay[i]);
		assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	}
	snprintf(of_us, sizeof of_us, "%s.%d.new", path, (int)getpid());
	assert_int_equal(close(open(of_us, O_CREAT | O_WRONLY, 0600)), 0);
	snprintf(name, sizeof name, "%s.%d.new", path, 999999999); /* greater than any process's number */
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	load_at(start.now_ms, start.wall_ms);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(unlink(of_us), 0);
	for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
		snprintf(name, sizeof name, "%s%s", path, stay[i]);
		assert_int_equal(unlink(name), 0);
	}
}

static void what_is_no_file_stays(void **unused)
{
	struct stat status;
	(void)unused;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	state.ipv4[0].expires_ms++;
	save_state_file(&file, &state, start, true);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISFIFO(status.st_mode));
}

/* --- a save that fails: whatever stood there must not be believed ------------------------------------------------- */

static enum state_kept lose_and_save(void)
{
	state.ipv4[0] = (struct binding){ 0 };
	file.has_warned = true; /* nobody wants to read it here */
	save_state_file(&file, &state, start, true);
	return file.kept;
}

static bool comes_back(void)
{
	load();
	return owns_address4(&loaded, address_of_ipv4(GUEST), start.now_ms);
}

static bool others_come_back(void)
{
	load();
	return owns_address4(&loaded, address_of_ipv4(SECOND), start.now_ms);
}

/* As long as it runs, and after a restart, which knows the descriptor by loading alone. */
static void with_each_descriptor(void (*test)(void))
{
	test();
	assert_int_equal(set_up(NULL), 0);
	close(file.fd);
	open_file();
	assert_null(load());
	test();
}

static void in_the_file_itself(void)
{
	/* No user can make its temporary. */
	char temporary[300];
	snprintf(temporary, sizeof temporary, "%s.%ld.new", path, (long)getpid());
	assert_int_equal(mkdir(temporary, 0700), 0);
	ino_t before = file_number();
	assert_int_equal(lose_and_save(), STATE_KEPT);
	assert_true(file_number() == before);
	assert_false(comes_back());
	assert_true(others_come_back());
	rmdir(temporary);
}

static void a_folder_that_takes_no_file(void **unused)
{
	(void)unused;
	with_each_descriptor(in_the_file_itself);
}

static struct rlimit files_may_have(rlim_t octets)
{
	struct rlimit before, now;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	now = (struct rlimit){ octets, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	return before;
}

static void with_room_for(rlim_t octets)
{
	struct rlimit before = files_may_have(octets);
	enum state_kept kept = lose_and_save();
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(kept, STATE_VOID);
	assert_int_equal(file.failed, 1);
	assert_true(has_news_of_kept(&file));
	assert_false(comes_back());
	assert_false(others_come_back());
	file.has_changed = true;
	save_state_file(&file, &state, start, true); /* as soon as there is room again */
	assert_true(has_news_of_kept(&file));
	assert_int_equal(file.kept, STATE_KEPT);
	assert_true(others_come_back());
	assert_false(comes_back());
}

static void without_room(void)
{
	with_room_for(0);
	state = full_state();
	save_state_file(&file, &state, start, true);
	file.failed = 0;
	with_room_for(100); /* half of it */
}

static void a_disk_without_room(void **unused)
{
	(void)unused;
	signal(SIGXFSZ, SIG_IGN);
	with_each_descriptor(without_room);
}

static void somebody_has_put_another_there(void **unused)
{
	char text[8192], other[300];
	size_t length = read_all(text, sizeof text);
	(void)unused;
	snprintf(other, sizeof other, "%s.other", path);
	rename(path, other);
	write_over(text, length);
	struct rlimit before = files_may_have(0);
	assert_int_equal(lose_and_save(), STATE_VOID);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_false(comes_back());
	assert_int_equal(access(path, F_OK), -1);
	rename(other, path); /* nor may the one that we wrote come back */
	assert_false(comes_back());
	assert_int_equal(rename(path, other), 0);
	unlink(other);
}

/* Root may write to everything, so only others can see this. */
static void without_rights(void **unused)
{
	(void)unused;
	if (geteuid() == 0)
		return;
	chmod(path, 0400);
	assert_string_equal(load(), "it cannot be opened for writing: Permission denied");
	assert_true(is_empty());
	chmod(path, 0600);
	chmod(directory, 0500);
	assert_int_equal(lose_and_save(), STATE_KEPT);
	assert_false(comes_back());
	assert_true(others_come_back());
	state = full_state();
	save_state_file(&file, &state, start, true);
	close(file.fd);
	file.fd = -1; /* as if it had been made since we started */
	chmod(path, 0400);
	assert_int_equal(lose_and_save(), STATE_STALE);
	chmod(path, 0600);
	chmod(directory, 0700);
}

static void nothing_there_is_nothing_to_void(void **unused)
{
	char missing[300];
	(void)unused;
	snprintf(missing, sizeof missing, "%s/none/state", directory);
	close(file.fd);
	open_file();
	file.path = missing;
	save_state_file(&file, &state, start, true); /* says so once, and goes on */
	assert_true(file.has_warned);
	assert_int_equal(file.kept, STATE_VOID);
}

/* What is no file, or a link, is believed by no start; it is not ours to remove. */
static void what_is_no_file_is_not_emptied(void **unused)
{
	struct stat status;
	(void)unused;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(lose_and_save(), STATE_VOID);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISFIFO(status.st_mode));
}

/* Another VM's, or of other options: a later start with the old ones would believe it. */
static void one_that_was_not_used_is_void_too(void **unused)
{
	(void)unused;
	close(file.fd);
	open_file();
	file.owner.config_hash++;
	NOT_BELIEVED("the options differ now");
	struct rlimit before = files_may_have(0);
	assert_int_equal(lose_and_save(), STATE_VOID);
	setrlimit(RLIMIT_FSIZE, &before);
	file.owner.config_hash--;
	assert_false(comes_back());
}

int main(void)
{
	make_directory();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(everything_comes_back, set_up),
		cmocka_unit_test_setup(no_file_is_no_fault, set_up),
		cmocka_unit_test_setup(transactions_and_static_addresses_stay_behind, set_up),
		cmocka_unit_test_setup(the_earlier_clock_ends_a_lease, set_up),
		cmocka_unit_test_setup(another_vm_boot_or_configuration, set_up),
		cmocka_unit_test_setup(addresses_that_became_somebody_elses, set_up),
		cmocka_unit_test_setup(every_flipped_bit_is_seen, set_up),
		cmocka_unit_test_setup(every_truncation_is_seen, set_up),
		cmocka_unit_test_setup(sealed_nonsense_is_no_state, set_up),
		cmocka_unit_test_setup(other_versions, set_up),
		cmocka_unit_test_setup(files_that_others_may_have_written, set_up),
		cmocka_unit_test_setup(files_of_any_size, set_up),
		cmocka_unit_test_setup(written_on_change_and_at_most_once_a_second, set_up),
		cmocka_unit_test_setup(a_lost_right_is_written_at_once, set_up),
		cmocka_unit_test_setup(a_link_is_replaced_not_followed, set_up),
		cmocka_unit_test_setup(what_a_killed_guard_left_beside_it_goes, set_up),
		cmocka_unit_test_setup(what_is_no_file_stays, set_up),
		cmocka_unit_test_setup(a_folder_that_takes_no_file, set_up),
		cmocka_unit_test_setup(a_disk_without_room, set_up),
		cmocka_unit_test_setup(somebody_has_put_another_there, set_up),
		cmocka_unit_test_setup(without_rights, set_up),
		cmocka_unit_test_setup(nothing_there_is_nothing_to_void, set_up),
		cmocka_unit_test_setup(what_is_no_file_is_not_emptied, set_up),
		cmocka_unit_test_setup(one_that_was_not_used_is_void_too, set_up),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	remove_directory();
	return failed;
}
