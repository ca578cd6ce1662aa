#include "tools/pattern.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

enum token_kind { TOKEN_BYTE, TOKEN_ANY, TOKEN_STAR, TOKEN_SET };

struct token {
	uint8_t kind;
	uint8_t byte;
	uint16_t set; /* which of the pattern's sets */
};

struct set {
	uint64_t bits[4];
	bool negated;
};

/* What is to match one component, or any number of them. */
struct segment {
	size_t first, n; /* its tokens */
	bool any_depth;	 /* "**" */
};

struct pattern {
	bool include; /* "!" */
	bool only_dirs;
	char *text; /* between "!" and trailing slashes */
	size_t text_len;
	struct token *tokens;
	struct segment *segments;
	struct set *sets;
	size_t n_tokens, n_segments, n_sets;
};

static const struct {
	const char *name;
	int (*contains)(int c);
} classes[] = {
	{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl },
	{ "digit", isdigit }, { "graph", isgraph }, { "lower", islower }, { "print", isprint },
	{ "punct", ispunct }, { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
};

static void set_add(struct set *set, unsigned byte)
{
	set->bits[byte / 64] |= UINT64_C(1) << (byte % 64);
}

static bool set_has(const struct set *set, unsigned byte)
{
	return ((set->bits[byte / 64] >> (byte % 64)) & 1) != set->negated;
}

/* "[:name:]" at the text's begin: its length; 0 when it is none. */
static size_t add_class(struct set *set, const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		size_t n = strlen(classes[i].name);

		if (len < n + 4 || memcmp(text, "[:", 2) || memcmp(text + 2, classes[i].name, n) ||
		    memcmp(text + 2 + n, ":]", 2))
			continue;
		for (unsigned c = 0; c < 128; c++)
			if (classes[i].contains((int)c))
				set_add(set, c);
		return n + 4;
	}
	return 0;
}

/* One byte of a set, escaped or not, from the offset *i on; false at the end of the text. */
static bool set_byte(const char *text, size_t len, size_t *i, unsigned char *byte)
{
	if (*i < len && text[*i] == '\\')
		++*i;
	if (*i >= len)
		return false;
	*byte = (unsigned char)text[(*i)++];
	return true;
}

/* The set that begins at text[*i], a '['. */
static int parse_set(struct pattern *p, const char *text, size_t len, size_t *i, struct error *err)
{
	struct set *set = &p->sets[p->n_sets];
	size_t start = *i, first;
	unsigned char from, to;

	++*i;
	if (*i < len && (text[*i] == '^' || text[*i] == '!')) {
		set->negated = true;
		++*i;
	}
	for (first = *i; *i < len && (text[*i] != ']' || *i == first);) {
		size_t n = add_class(set, text + *i, len - *i);

		*i += n;
		if (n)
			continue;
		if (len - *i >= 2 && text[*i] == '[' && text[*i + 1] == ':')
			return error_set(err, EINVAL, "unknown class at byte %zu", *i);
		if (!set_byte(text, len, i, &from))
			break;
		to = from;
		if (len - *i >= 2 && text[*i] == '-' && text[*i + 1] != ']') {
			++*i;
			if (!set_byte(text, len, i, &to))
				break;
		}
		for (unsigned c = from < to ? from : to; c <= (from < to ? to : from); c++)
			set_add(set, c);
	}
	if (*i >= len)
		return error_set(err, EINVAL, "'[' at byte %zu is not closed", start);
	++*i;
	p->tokens[p->n_tokens++] = (struct token){ TOKEN_SET, 0, (uint16_t)p->n_sets++ };
	return 0;
}

static void begin_segment(struct pattern *p)
{
	p->segments[p->n_segments++] = (struct segment){ .first = p->n_tokens };
}

/* Ends the segment that was begun last; "**" after "**" says nothing more. */
static void end_segment(struct pattern *p, size_t stars, size_t len)
{
	struct segment *s = &p->segments[p->n_segments - 1];

	s->n = p->n_tokens - s->first;
	s->any_depth = stars >= 2 && stars == len;
	if (s->any_depth && p->n_segments > 1 && s[-1].any_depth)
		p->n_segments--;
}

/* A star after a star says nothing more. */
static void add_token(struct pattern *p, enum token_kind kind, char byte)
{
	const struct segment *s = &p->segments[p->n_segments - 1];

	if (kind == TOKEN_STAR && p->n_tokens > s->first &&
	    p->tokens[p->n_tokens - 1].kind == TOKEN_STAR)
		return;
	p->tokens[p->n_tokens++] = (struct token){ (uint8_t)kind, (uint8_t)byte, 0 };
}

/* The segment from text[*i] on, up to a '/' or the end. */
static int parse_segment(struct pattern *p, const char *text, size_t len, size_t *i,
			 struct error *err)
{
	size_t start = *i, stars = 0;
	int r;

	begin_segment(p);
	while (*i < len && text[*i] != '/') {
		char c = text[*i];

		if (c == '[') {
			r = parse_set(p, text, len, i, err);
			if (r < 0)
				return r;
			continue;
		}
		++*i;
		if (c == '?') {
			add_token(p, TOKEN_ANY, 0);
		} else if (c == '*') {
			stars++;
			add_token(p, TOKEN_STAR, 0);
		} else if (c != '\\') {
			add_token(p, TOKEN_BYTE, c);
		} else if (*i == len) {
			return error_set(err, EINVAL, "'\\' at the end");
		} else if (text[*i] == '/') {
			break;
		} else {
			add_token(p, TOKEN_BYTE, text[(*i)++]);
		}
	}
	end_segment(p, stars, *i - start);
	++*i; /* the slash */
	return 0;
}

/* Takes "!" and trailing slashes off, and makes room for the rest. */
static int prepare(struct pattern *p, const char *text, size_t len, struct error *err)
{
	size_t sets = 1;

	if (len > PATTERN_MAX)
		return error_set(err, EINVAL, "%zu bytes, more than %d", len, PATTERN_MAX);
	if (memchr(text, 0, len))
		return error_set(err, EINVAL, "a NUL inside");
	if (len && *text == '!') {
		p->include = true;
		text++;
		len--;
	}
	while (len && text[len - 1] == '/') {
		p->only_dirs = true;
		len--;
	}
	if (!len)
		return error_set(err, EINVAL, "nothing to match");
	p->text_len = len;
	p->text = strndup(text, len);
	p->tokens = calloc(len, sizeof(*p->tokens));
	p->segments = calloc(len + 2, sizeof(*p->segments));
	for (size_t i = 0; i < len; i++)
		sets += text[i] == '[';
	p->sets = calloc(sets, sizeof(*p->sets));
	if (!p->text || !p->tokens || !p->segments || !p->sets)
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

int pattern_parse(struct pattern **out, const char *text, size_t len, struct error *err)
{
	CLEANUP(pattern_freep) struct pattern *p = calloc(1, sizeof(*p));
	size_t i;
	int r;

	if (!p)
		return error_set(err, ENOMEM, "out of memory");
	r = prepare(p, text, len, err);
	if (r < 0)
		return r;
	i = p->text[0] == '/';
	if (!i)
		p->segments[p->n_segments++] = (struct segment){ .any_depth = true };
	while (i <= p->text_len) {
		r = parse_segment(p, p->text, p->text_len, &i, err);
		if (r < 0)
			return r;
	}
	*out = TAKE(p);
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	free(p->text);
	free(p->tokens);
	free(p->segments);
	free(p->sets);
	free(p);
}

static bool token_matches(const struct pattern *p, const struct token *t, unsigned char byte)
{
	if (t->kind == TOKEN_BYTE)
		return t->byte == byte;
	return t->kind == TOKEN_ANY || (t->kind == TOKEN_SET && set_has(&p->sets[t->set], byte));
}

/* One component. After a mismatch only the last star need take one byte more: what an earlier
   one could take instead, the last one can as well. */
static bool segment_matches(const struct pattern *p, const struct segment *s, const char *text,
			    size_t len)
{
	const struct token *tokens = p->tokens + s->first;
	size_t t = 0, i = 0, star = SIZE_MAX, star_i = 0;

	while (i < len) {
		if (t < s->n && tokens[t].kind == TOKEN_STAR) {
			star = t++;
			star_i = i;
		} else if (t < s->n && token_matches(p, &tokens[t], (unsigned char)text[i])) {
			t++;
			i++;
		} else if (star != SIZE_MAX) {
			t = star + 1;
			i = ++star_i;
		} else {
			return false;
		}
	}
	while (t < s->n && tokens[t].kind == TOKEN_STAR)
		t++;
	return t == s->n;
}

/* The end of the component that begins at the offset. */
static size_t component_end(const char *path, size_t len, size_t offset)
{
	const char *slash = memchr(path + offset, '/', len - offset);

	return slash ? (size_t)(slash - path) : len;
}

/* As in one component, with components for bytes and "**" for the star. */
bool pattern_matches(const struct pattern *p, const char *path, size_t len, bool is_dir)
{
	size_t s = 0, i = 0, deep = SIZE_MAX, deep_i = 0;

	if (p->only_dirs && !is_dir)
		return false;
	while (i < len) {
		size_t end = component_end(path, len, i);

		if (s < p->n_segments && p->segments[s].any_depth) {
			deep = s++;
			deep_i = i;
		} else if (s < p->n_segments &&
			   segment_matches(p, &p->segments[s], path + i, end - i)) {
			s++;
			i = end + 1;
		} else if (deep != SIZE_MAX) {
			s = deep + 1;
			i = deep_i = component_end(path, len, deep_i) + 1;
		} else {
			return false;
		}
	}
	return s == p->n_segments;
}

void pattern_print(const struct pattern *p, struct buffer *out)
{
	buffer_add(out, "!", p->include);
	buffer_add(out, p->text, p->text_len);
	buffer_add(out, "/", p->only_dirs);
}

struct pattern_entry {
	struct pattern *pattern;
	size_t base;
};

int pattern_list_add(struct pattern_list *list, const char *text, size_t len, size_t base,
		     struct error *err)
{
	CLEANUP(pattern_freep) struct pattern *p = NULL;
	struct pattern_entry *grown;
	int r;

	r = pattern_parse(&p, text, len, err);
	if (r < 0)
		return r;
	if (list->n == list->room) {
		grown = reallocarray(list->at, 2 * list->room + 8, sizeof(*grown));
		if (!grown)
			return error_set(err, ENOMEM, "out of memory");
		list->at = grown;
		list->room = 2 * list->room + 8;
	}
	list->at[list->n++] = (struct pattern_entry){ TAKE(p), base };
	return 0;
}

bool pattern_list_excludes(const struct pattern_list *list, const char *path, size_t len,
			   bool is_dir)
{
	for (size_t i = list->n; i-- > 0;) {
		const struct pattern_entry *e = &list->at[i];

		if (pattern_matches(e->pattern, path + e->base, len - e->base, is_dir))
			return !e->pattern->include;
	}
	return false;
}

void pattern_list_print(const struct pattern_list *list, struct buffer *out)
{
	for (size_t i = 0; i < list->n; i++) {
		pattern_print(list->at[i].pattern, out);
		buffer_add(out, "\n", 1);
	}
}

void pattern_list_truncate(struct pattern_list *list, size_t n)
{
	while (list->n > n)
		pattern_free(list->at[--list->n].pattern);
}

void pattern_list_release(struct pattern_list *list)
{
	pattern_list_truncate(list, 0);
	free(list->at);
	*list = (struct pattern_list){ 0 };
}
