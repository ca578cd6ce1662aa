/*
 * keys.h - the key that a mount uses, and where it comes from
 *
 * A key file that the user names; otherwise the original client's own,
 * $XDG_CONFIG_HOME/proxmox-backup/encryption-key.json, but only if it is the key that the backup
 * was made with.
 *
 * Threads: to be called before there are any.
 */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include "chunkcache/crypt.h"

/* Whether the process stays open to others and its core dumps: sanitizers look into their own in a
   way that is forbidden otherwise. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEYS_DUMPABLE true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEYS_DUMPABLE true
#endif
#endif
#ifndef KEYS_DUMPABLE
#define KEYS_DUMPABLE false
#endif

struct keys_spec {
	const char *keyfile;	     /* NULL: none named */
	int keyfd;		     /* -1: likewise */
	const struct digest *wanted; /* fingerprint of the key that fits; NULL: not known */
	bool needed; /* nothing can be mounted without: worth asking for a password */
};

/* *out stays NULL when no key is named and the default one is not there, or another. Whether the
   key is the one that is wanted is for the caller to check, but a password is not asked for one
   that says it is not: -EKEYREJECTED. Whatever is loaded, the process does not dump core and
   cannot be looked into from then on, and the password is gone from the environment. */
int keys_load(struct crypt **out, const struct keys_spec *spec, struct error *err);

#endif
