/* The files of a backup, as whoever saves writes them and whoever restores reads them.
 *
 * Room: schemas/runtime, pure. A folder with the file MANIFEST (schemas/backup.cddl: backup-manifest) and a file for each
 * shard. MANIFEST: BACKUP_MAGIC with the number of the format, the map, and a digest of all in front of it. A digest is
 * BLAKE2b-256 (RFC 7693) without a key: against rot and mixed-up files, not against enemies.
 */
#ifndef MAITRED_SCHEMAS_RUNTIME_BACKUP_FORMAT_H
#define MAITRED_SCHEMAS_RUNTIME_BACKUP_FORMAT_H

#define BACKUP_MAGIC "MAITRE-BACKUP 1\n"
#define BACKUP_MAGIC_LEN 16
#define BACKUP_MAGIC_NAME_LEN 14 /* in front of the format's number */
#define BACKUP_DIGEST_BYTES 32
#define BACKUP_MANIFEST_NAME "MANIFEST"
#define BACKUP_IMAGE_NAME "shard-%04u" /* of a shard's number */
#define BACKUP_NAME_BYTES 16

#endif
