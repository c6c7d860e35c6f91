-- How a repository is encrypted, other than under a service key. data_key is the repository's key as the customer key
-- kms_key wrapped it with its material kms_material; outer_key is that of the second layer, under a service key; grants
-- are the ids of the grants of the customer key, in JSON.
ALTER TABLE repository ADD COLUMN kms_key TEXT NOT NULL DEFAULT '';
ALTER TABLE repository ADD COLUMN kms_material TEXT NOT NULL DEFAULT '';
ALTER TABLE repository ADD COLUMN outer_key BYTEA;
ALTER TABLE repository ADD COLUMN grants TEXT NOT NULL DEFAULT '[]';
CREATE INDEX repository_kms ON repository (kms_key, kms_material, id) WHERE kms_key <> '';
