/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows of the files, and what is wrong with them. */
#ifndef TESTS_BPF_ROW_H
#define TESTS_BPF_ROW_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>

#include "objects.h"

enum { OTHERS = 64, COLUMNS = 8, NAME_MAX_LEN = 511, LINE_LEN = 2048, SIX_DIGITS = 100000 };

static const char *progs_debug, *maps_debug;
static int failures;

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	failures++;
}

/* A row of a file, and where each of its words begins. */
struct row {
	char line[LINE_LEN];
	char *word[COLUMNS + 1];
	int at[COLUMNS + 1];
	int words;
};

static void split(struct row *row, const char *line)
{
	char *p = strcpy(row->line, line);

	for (row->words = 0; row->words <= COLUMNS; row->words++) {
		while (isspace(*p))
			*p++ = 0;
		if (!*p)
			break;
		row->at[row->words] = p - row->line;
		row->word[row->words] = p;
		while (*p && !isspace(*p))
			p++;
	}
}

/* The row of an id, which must be there once and have as many words as the heading. */
static struct row *find(const char *path, __u32 id)
{
	static struct row heading, row, found;
	char line[LINE_LEN];
	FILE *f = fopen(path, "r");
	int rows = 0;

	if (!f)
		error(1, errno, "%s", path);
	if (!fgets(line, sizeof(line), f))
		error(1, 0, "%s is empty", path);
	split(&heading, line);
	while (fgets(line, sizeof(line), f)) {
		split(&row, line);
		if (row.words != heading.words)
			wrong("%s: %d words of %d: %s", path, row.words, heading.words, line);
		if (row.words && strtoul(row.word[0], NULL, 10) == id) {
			found = row;
			/* The copy's words are in the copy. */
			for (int i = 0; i < row.words; i++)
				found.word[i] = found.line + row.at[i];
			rows++;
		}
	}
	fclose(f);
	if (rows != 1) {
		wrong("%s: %d rows with id %u", path, rows, id);
		split(&found, "? ? ? ? ? ? ? ?");
	}
	return &found;
}

static void same(const char *what, const char *column, const char *is, const char *must_be)
{
	if (strcmp(is, must_be))
		wrong("%s: %s is '%s', not '%s'", what, column, is, must_be);
}

/* What the kernel knows of a program, whatever else is in its row. */
static struct row *prog_row(const char *what, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct row *row;
	char text[32];

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		error(1, errno, "info of a program");
	row = find(progs_debug, info.id);
	same(what, "type", row->word[4], libbpf_bpf_prog_type_str(info.type));
	snprintf(text, sizeof(text), "%u", info.xlated_prog_len);
	same(what, "xlated", row->word[5], text);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)info.load_time / 1000000000);
	same(what, "loaded", row->word[6], text);
	snprintf(text, sizeof(text), "%u", info.created_by_uid);
	same(what, "uid", row->word[7], text);
	return row;
}

static void says(const char *what, int fd, const char *name, const char *attached, const char *target)
{
	struct row *row = prog_row(what, fd);

	same(what, "name", row->word[1], name);
	same(what, "attached", row->word[2], attached);
	same(what, "target", row->word[3], target);
}

/* The truth, or nothing. */
static void says_or_not(const char *what, int fd, const char *name, const char *attached, const char *target)
{
	struct row *row = prog_row(what, fd);

	same(what, "name", row->word[1], name);
	if (strcmp(row->word[2], "-"))
		same(what, "attached", row->word[2], attached);
	if (strcmp(row->word[3], "-"))
		same(what, "target", row->word[3], target);
}

#endif
