/*
 * password.h - where the password of a key file comes from
 *
 * The first of these that is there:
 *
 *     $PBS_ENCRYPTION_PASSWORD       the password
 *     $PBS_ENCRYPTION_PASSWORD_FD    number of an open descriptor to read it from
 *     $PBS_ENCRYPTION_PASSWORD_FILE  name of a file that holds it
 *     $PBS_ENCRYPTION_PASSWORD_CMD   shell command that prints it
 *     $CREDENTIALS_DIRECTORY/pxar-mount.encryption-password
 *     $CREDENTIALS_DIRECTORY/proxmox-backup-client.encryption-password
 *     the terminal, /dev/tty
 *
 * Of what is there the first line counts. Nothing here is safe to use beside other threads that
 * look at the environment.
 */
#ifndef CHUNKCACHE_PASSWORD_H
#define CHUNKCACHE_PASSWORD_H

#include "chunkcache/secret.h"

enum { PASSWORD_MAX = 4096 }; /* bytes */

enum {
	PASSWORD_FOUND = 0,
	PASSWORD_NOWHERE = 1, /* none of the sources is there */
};

/* From the environment and credentials; the variable that holds the password itself is erased as
   by password_forget(). */
int password_find(struct secret_bytes **out, struct error *err);

/* Shows the prompt as it is and reads a line without showing it. PASSWORD_NOWHERE without a
   terminal; -EINTR when the user gave up with Ctrl-C. */
int password_ask(struct secret_bytes **out, const char *prompt, struct error *err);

/* Overwrites the password in the environment, which other processes can look at, and removes the
   variable: for when the password is not needed. */
void password_forget(void);

#endif
