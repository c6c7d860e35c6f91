-- rotated_at is when material took the place of other material; NULL for the first of a key and for what waits for a rotation.
ALTER TABLE kms_material ADD COLUMN rotated_at BIGINT;
-- import_key is the key of the ids of imported material, sealed; NULL until some is imported.
ALTER TABLE kms_key ADD COLUMN import_key BYTEA;
