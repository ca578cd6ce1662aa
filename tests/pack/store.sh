#!/bin/bash
# store.sh - snapshots: what is in the datastore is what a plain archive would have been
self=$(realpath "$0")
. "$(dirname "$0")/lib.sh"

time1=2026-01-02T03:04:05Z
time2=2026-01-03T03:04:05Z

# A tree whose content takes some chunks of 64 KiB, with a run of zeros that is one chunk repeated.
make_tree() {
	mkdir -p "$1/a/b" "$1/empty"
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 700000 >"$1/a/noise"
	head -c 1100000 /dev/zero >"$1/zeros"
	for i in $(seq 200); do
		echo "file $i" >"$1/a/b/$i"
	done
	ln "$1/a/noise" "$1/again"
	ln -s a/noise "$1/link"
}

# An empty datastore; the folders of chunks are made as they are needed.
make_store() {
	mkdir -p "$1/.chunks"
}

snapshot() {
	"$PXAR_PACK" --chunk-size 64K --store store --snapshot "$@"
}

chunks() {
	find store/.chunks -type f | sort
}

# holds NS SNAPSHOT NAME KEYFILE FILE: the archive has the bytes of that file
holds() {
	"$UNSTORE" store "$1" "$2" "$3" "$4" back >digests 2>err || fail "$3: $(cat err)"
	cmp back "$5" || fail "$2/$3 differs"
}

a_unified_snapshot_holds_the_archive() {
	make_tree tree && make_store store
	"$PXAR_PACK" --quiet tree plain.pxar || fail "plain"
	status 0 snapshot host/web/$time1 tree
	said "host/web/$time1: "
	holds "" host/web/$time1 root.pxar.didx "" plain.pxar
	[ "$(wc -l <digests)" -gt 8 ] || fail "only $(wc -l <digests) chunks"
	[ "$(sort -u digests | wc -l)" -lt "$(wc -l <digests)" ] || fail "zeros are not one chunk"
	only "store/host/web" $time1 owner
	only "store/host/web/$time1" catalog.pcat1.didx index.json.blob root.pxar.didx
	[ "$(cat store/host/web/owner)" = root@pam ] || fail "owner: $(cat store/host/web/owner)"
	"$UNSTORE" store "" host/web/$time1 catalog.pcat1.didx "" catalog >/dev/null ||
		fail "catalog"
	grep -q root.pxar.didx catalog || fail "the catalog does not name its archive"
	grep -q again catalog || fail "the catalog does not name a link"
}

a_split_snapshot_holds_both_archives() {
	make_tree tree && make_store store
	"$PXAR_PACK" --quiet --split tree plain || fail "plain"
	status 0 snapshot ct/100/$time1 --ns a/b --split --archive data tree
	holds a/b ct/100/$time1 data.mpxar.didx "" plain.mpxar
	holds a/b ct/100/$time1 data.ppxar.didx "" plain.ppxar
	only "store/ns/a/ns/b/ct/100/$time1" data.mpxar.didx data.ppxar.didx index.json.blob
}

files_of_a_payload_begin_chunks() {
	mkdir tree && make_store store
	for i in 1 2 3; do
		openssl enc -aes-128-ctr -K 0$i -iv 00 -in /dev/zero 2>/dev/null | head -c 16400 >tree/$i
	done
	status 0 snapshot host/web/$time1 --split tree
	"$UNSTORE" store "" host/web/$time1 root.ppxar.didx "" back >digests
	[ "$(wc -l <digests)" -eq 3 ] || fail "$(wc -l <digests) chunks"
	rm tree/1
	status 0 snapshot host/web/$time2 --split tree
	"$UNSTORE" store "" host/web/$time2 root.ppxar.didx "" back >later
	[ "$(sed -n 2p digests)" != "$(sed -n 3p digests)" ] && [ "$(tail -1 digests)" = "$(tail -1 later)" ] ||
		fail "a file is not in a chunk of its own"
}

an_encrypted_snapshot_needs_its_key() {
	make_tree tree && make_store store
	"$PXAR_PACK" --quiet tree plain.pxar || fail "plain"
	status 0 "$PXAR_PACK" --create-key key.json --kdf none
	status 0 "$PXAR_PACK" --create-key other.json --kdf none
	status 0 snapshot vm/1/$time1 --keyfile key.json tree
	holds "" vm/1/$time1 root.pxar.didx key.json plain.pxar
	status 1 "$UNSTORE" store "" vm/1/$time1 root.pxar.didx other.json back
	status 1 "$UNSTORE" store "" vm/1/$time1 root.pxar.didx "" back
	said "encrypted"
	cp digests first
	status 0 snapshot vm/1/$time2 --keyfile other.json tree
	"$UNSTORE" store "" vm/1/$time2 root.pxar.didx other.json back >second
	[ -z "$(comm -12 <(sort first) <(sort second))" ] || fail "two keys name a chunk alike"
	! grep -rqF "file 77" store || fail "it is not encrypted"
}

the_second_snapshot_stores_no_chunk() {
	make_tree tree && make_store store
	"$PXAR_PACK" --create-key key.json --kdf none
	for how in "" --split --no-compress "--keyfile key.json" "--keyfile key.json --split"; do
		rm -rf store && make_store store
		# shellcheck disable=SC2086 # several words
		status 0 snapshot host/web/$time1 $how tree
		find store/.chunks -type f -exec touch -d 2001-01-01 {} +
		chunks >before
		# shellcheck disable=SC2086
		status 0 snapshot host/web/$time2 $how tree
		said ": 0 new chunks, "
		chunks | cmp - before || fail "new chunks with '$how'"
		[ -z "$(find store/.chunks -type f -newermt 2002-01-01)" ] || fail "written again with '$how'"
		[ -z "$(find store/.chunks -type f ! -newerat 2002-01-01)" ] ||
			fail "not marked as used with '$how'"
	done
}

a_chunk_of_the_other_kind_is_refused() {
	make_tree tree && make_store store
	status 0 snapshot host/web/$time1 tree
	victim=$(find store/.chunks -type f | head -1)
	printf 'nonsense and more of it' >"$victim"
	status 1 snapshot host/web/$time2 tree
	said "${victim##*/}"
	only store/host/web $time1 owner
	: >"$victim" # lost, as some file systems lose files in a crash
	status 0 snapshot host/web/$time2 tree
	said ": 1 new chunk, "
}

a_finished_snapshot_is_never_replaced() {
	make_tree tree && make_store store
	status 0 snapshot host/web/$time1 tree
	sha256sum store/host/web/$time1/* >before
	status 1 snapshot host/web/$time1 tree
	said "there is such a snapshot"
	sha256sum -c --quiet before || fail "it was changed"
}

leftovers_of_a_crash_are_replaced() {
	make_tree tree && make_store store
	mkdir -p store/host/web/$time1
	touch store/host/web/$time1/root.tmp_didx store/host/web/$time1/other.mpxar.didx
	status 0 snapshot host/web/$time1 tree
	only store/host/web/$time1 catalog.pcat1.didx index.json.blob root.pxar.didx
}

what_is_being_made_is_locked() {
	mkdir tree && make_store store
	mkdir -p store/host/web/$time1
	flock -s store/host/web/$time1 sleep 60 &
	locker=$!
	while flock -n store/host/web/$time1 true; do sleep 0.05; done
	status 1 snapshot host/web/$time1 tree
	said "locked"
	kill $locker
	[ -d store/host/web/$time1 ] || fail "it was removed under its lock"
}

a_failure_leaves_no_snapshot() {
	make_tree tree && make_store store
	(ulimit -f 8 && status 1 snapshot host/web/$time1 tree && exit "$bad") || bad=1
	only store/host/web owner
	[ -z "$(find store -name '*.tmp_*')" ] || fail "left: $(find store -name '*.tmp_*')"
	status 1 snapshot host/web/$time1 missing
	only store/host/web owner
	mkdir plain
	status 1 "$PXAR_PACK" --store plain --snapshot host/web tree
	said "not a datastore"
	only plain
}

interrupted() {
	mkdir tree && make_store store
	truncate -s 20G tree/zeros
	"$PXAR_PACK" --store store --snapshot host/web/$time1 tree 2>err &
	sleep 0.5
	kill -TERM $!
	wait $!
	got=$?
	[ $got -eq 1 ] || fail "exit status $got"
	said "interrupted"
	only store/host/web owner
}

# Whenever it is killed, there is no snapshot or a whole one.
killed_at_any_time() {
	make_tree tree
	"$PXAR_PACK" --quiet --split tree plain || fail "plain"
	make_store store
	began=$(date +%s%N)
	snapshot host/web/$time1 --split tree 2>err || fail "$(cat err)"
	took_us=$((($(date +%s%N) - began) / 1000))
	whole=0
	for _ in $(seq "${PXAR_RUNS:-20}"); do
		rm -rf store && make_store store
		# Not through a function: it is the program that is to be killed.
		"$PXAR_PACK" --chunk-size 64K --store store --snapshot host/web/$time1 --split tree 2>/dev/null &
		sleep "$(printf '0.%06d' $((RANDOM * took_us / 32768 % 1000000)))"
		kill -9 $! 2>/dev/null
		wait $! 2>/dev/null
		if [ -e store/host/web/$time1/index.json.blob ]; then
			whole=$((whole + 1))
			holds "" host/web/$time1 root.mpxar.didx "" plain.mpxar
			holds "" host/web/$time1 root.ppxar.didx "" plain.ppxar
		else
			status 0 snapshot host/web/$time1 --split tree
			only store/host/web/$time1 index.json.blob root.mpxar.didx root.ppxar.didx
		fi
		status 0 snapshot host/web/$time2 --split tree
		holds "" host/web/$time2 root.ppxar.didx "" plain.ppxar
	done
	echo "  of ${PXAR_RUNS:-20}, $whole came through"
}

what_is_stored_belongs_to_the_store() {
	make_tree tree && make_store store
	chown -R 65534:65534 store
	chmod 700 tree
	status 0 snapshot host/web/$time1 --ns a tree
	[ -z "$(find store ! -user 65534)" ] || fail "not the owner's: $(find store ! -user 65534 | head -3)"
	[ -z "$(find store ! -group 65534)" ] || fail "not the group's"
}

groups_have_owners() {
	mkdir tree && make_store store
	status 0 snapshot host/web/$time1 --owner 'me@pbs!token' tree
	[ "$(cat store/host/web/owner)" = 'me@pbs!token' ] || fail "owner"
	status 1 snapshot host/web/$time2 --owner you@pbs tree
	said "belongs to me@pbs!token"
	status 0 snapshot host/web/$time2 tree
	[ "$(cat store/host/web/owner)" = 'me@pbs!token' ] || fail "owner changed"
}

a_store_can_be_made() {
	mkdir tree precious && touch precious/file
	status 1 snapshot host/web tree
	status 0 "$PXAR_PACK" --store store --create-store --snapshot host/web tree
	[ "$(find store/.chunks -mindepth 1 -maxdepth 1 -type d -perm 750 | wc -l)" -eq 65536 ] || fail "folders"
	status 0 "$PXAR_PACK" --store store --create-store --snapshot host/web2 tree
	status 1 "$PXAR_PACK" --store precious --create-store --snapshot host/web tree
	only precious file
}

the_store_is_not_packed_into_itself() {
	make_tree tree && mkdir -p tree/store/.chunks
	status 0 "$PXAR_PACK" --store tree/store --snapshot host/web/$time1 tree
	said "store: left out: it is the datastore"
}

the_key_is_kept_for_who_has_the_master_key() {
	mkdir tree && make_store store
	openssl genrsa -out private.pem 3072 2>/dev/null
	openssl rsa -in private.pem -pubout -out public.pem 2>/dev/null
	status 0 "$PXAR_PACK" --create-key key.json --kdf none
	status 0 snapshot host/web/$time1 --keyfile key.json --master-pubkey public.pem tree
	tail -c +13 store/host/web/$time1/rsa-encrypted.key.blob |
		openssl pkeyutl -decrypt -inkey private.pem >wrapped.json || fail "not for this key"
	for member in data fingerprint created; do
		[ "$(grep -o "\"$member\":\"[^\"]*\"" key.json)" = "$(grep -o "\"$member\":\"[^\"]*\"" wrapped.json)" ] ||
			fail "$member differs"
	done
	status 1 snapshot host/web/$time2 --keyfile key.json --master-pubkey private.pem tree
	said "private.pem"
	only store/host/web $time1 owner
}

keys_are_made_with_passwords() {
	mkdir tree && make_store store
	for kdf in scrypt pbkdf2; do
		PBS_ENCRYPTION_PASSWORD=geheim-1 status 0 "$PXAR_PACK" --create-key $kdf.json --kdf $kdf --hint "das 'alte'"
		[ "$(stat -c %a $kdf.json)" = 600 ] || fail "mode of $kdf.json"
		PBS_ENCRYPTION_PASSWORD=geheim-1 status 0 snapshot host/$kdf --keyfile $kdf.json tree
		PBS_ENCRYPTION_PASSWORD=geheim-2 status 1 snapshot host/$kdf/$time1 --keyfile $kdf.json tree
		said "password is wrong"
	done
	grep -q "das 'alte'" scrypt.json || fail "no hint"
	PBS_ENCRYPTION_PASSWORD=kurz status 1 "$PXAR_PACK" --create-key short.json
	PBS_ENCRYPTION_PASSWORD=geheim-1 status 1 "$PXAR_PACK" --create-key scrypt.json
	said "exists"
	setsid -w true && status 1 setsid -w "$PXAR_PACK" --create-key nobody.json </dev/null
	[ ! -e short.json ] && [ ! -e nobody.json ] || fail "left a key file"
}

words_that_do_not_fit_are_usage_errors() {
	mkdir tree && make_store store
	for words in "--store store tree" "--store store --snapshot host/a tree out" \
		"--snapshot host/a tree" "--keyfile k tree out.pxar" "--create-key k tree" \
		"--store store --snapshot host/a --chunk-size 100K tree" \
		"--store store --snapshot host/a --chunk-size 8M tree" \
		"--store store --snapshot host/a --archive ../x tree" \
		"--store store --snapshot host/a --owner nobody tree" \
		"--store store --snapshot host/a --kdf md5 tree" \
		"--store store --snapshot host/a --master-pubkey k tree" \
		"--store store --snapshot host/a --force tree"; do
		# shellcheck disable=SC2086
		status 2 "$PXAR_PACK" $words
	done
	for name in host host/ nonsense/a host/../x host/a/yesterday host/a/latest "host/a/$time1/x"; do
		status 2 snapshot "$name" tree
	done
	status 2 snapshot host/a --ns ../b tree
	only store .chunks
}

for t in $(sed -n 's/^\([a-z_0-9]*\)() {$/\1/p' "$self"); do
	case $t in
	make_tree | make_store | snapshot | chunks | holds) continue ;;
	what_is_stored_belongs_to_the_store) is_root || { skip "$t" "not root"; continue; } ;;
	esac
	run "$t"
done
exit "$failed"
