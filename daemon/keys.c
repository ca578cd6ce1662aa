#define _GNU_SOURCE
#include "daemon/keys.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "chunkcache/keyfile.h"
#include "chunkcache/password.h"
#include "daemon/log.h"

static void protect_process(void)
{
	const struct rlimit none = { 0, 0 };

	if (KEYS_DUMPABLE)
		return;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		log_warn("the key may end up in a core dump: %m");
}

static int ask(struct secret_bytes **out, const char *name, const struct keyfile *k,
	       struct error *err)
{
	const char *hint = keyfile_hint(k);
	char shown[LOG_NAME_SIZE], prompt[LOG_NAME_SIZE + PATH_MAX];

	snprintf(prompt, sizeof(prompt), "Password of %s%s%s%s: ", name, hint ? " (hint: " : "",
		 hint ? log_name(shown, sizeof(shown), hint, strlen(hint)) : "", hint ? ")" : "");
	return password_ask(out, prompt, err);
}

static int unlock(struct crypt **out, const char *name, const struct keyfile *k, struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *password = NULL;
	int r = 0;

	if (keyfile_needs_password(k)) {
		r = password_find(&password, err);
		if (r == PASSWORD_NOWHERE)
			r = ask(&password, name, k, err);
		if (r == PASSWORD_NOWHERE)
			return error_set(err, ENOKEY,
					 "%s needs a password, and there is no terminal to ask for "
					 "it: set PBS_ENCRYPTION_PASSWORD, or the same with _FILE, "
					 "_FD or _CMD",
					 name);
	}
	if (r == 0)
		r = keyfile_unlock(out, k, password, err);
	return r < 0 ? error_wrap(err, "%s", name) : 0;
}

/* What a key file says of itself can be wrong, but then it is not worth a password either. */
static int check_label(const struct keyfile *k, const struct digest *wanted, struct error *err)
{
	char theirs[FINGERPRINT_TEXT_SIZE], ours[FINGERPRINT_TEXT_SIZE];
	const struct digest *label = keyfile_fingerprint(k);

	if (!label || !wanted || digest_equal(label, wanted))
		return 0;
	return error_set(
		err, EKEYREJECTED, "wrong key: the backup was made with %s, the one given is %s",
		digest_format_fingerprint(wanted, theirs), digest_format_fingerprint(label, ours));
}

static void warn_of(const struct crypt *crypt, const char *name, bool exposed)
{
	if (exposed)
		log_warn("%s: others may read it", name);
	if (!crypt_is_locked(crypt))
		log_warn("the key may be swapped out: the limit on locked memory is too low");
}

static int load_named(struct crypt **out, const struct keys_spec *spec, struct error *err)
{
	CLEANUP(keyfile_freep) struct keyfile *k = NULL;
	char name[PATH_MAX + 16];
	bool exposed = false;
	int r;

	if (spec->keyfile) {
		snprintf(name, sizeof(name), "key file %s", spec->keyfile);
		r = keyfile_read(&k, spec->keyfile, &exposed, err);
	} else {
		snprintf(name, sizeof(name), "key file from descriptor %d", spec->keyfd);
		r = keyfile_read_fd(&k, spec->keyfd, &exposed, err);
	}
	if (r == 0)
		r = check_label(k, spec->wanted, err);
	if (r == 0)
		r = unlock(out, name, k, err);
	if (r == 0)
		warn_of(*out, name, exposed);
	return r;
}

static bool default_path(char path[PATH_MAX])
{
	static const char file[] = "proxmox-backup/encryption-key.json";
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n = 0;

	if (config && *config == '/')
		n = snprintf(path, PATH_MAX, "%s/%s", config, file);
	else if (home && *home == '/')
		n = snprintf(path, PATH_MAX, "%s/.config/%s", home, file);
	return n > 0 && n < PATH_MAX;
}

/* Nobody asked for this key: where it does not fit or cannot be read, there is none. */
static int load_default(struct crypt **out, const struct keys_spec *spec, struct error *err)
{
	CLEANUP(keyfile_freep) struct keyfile *k = NULL;
	CLEANUP(crypt_freep) struct crypt *crypt = NULL;
	struct digest found;
	struct error why;
	char path[PATH_MAX];
	bool exposed = false;
	int r;

	if (!spec->wanted || !default_path(path))
		return 0;
	r = keyfile_read(&k, path, &exposed, &why);
	if (r == 0)
		r = check_label(k, spec->wanted, &why);
	if (r < 0) {
		log_debug("the default key is not used: %s", why.text);
		return 0;
	}
	if (keyfile_needs_password(k) && !spec->needed)
		return 0;
	r = unlock(&crypt, path, k, err);
	if (r < 0)
		return r;
	found = crypt_fingerprint(crypt);
	if (digest_equal(&found, spec->wanted)) {
		warn_of(crypt, path, exposed);
		*out = TAKE(crypt);
	}
	return 0;
}

int keys_load(struct crypt **out, const struct keys_spec *spec, struct error *err)
{
	bool named = spec->keyfile || spec->keyfd >= 0;
	int r;

	*out = NULL;
	if (named || spec->wanted)
		protect_process();
	r = named ? load_named(out, spec, err) : load_default(out, spec, err);
	password_forget();
	return r;
}
