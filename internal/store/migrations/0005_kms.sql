-- Keys of KMS. service is that of a key that AWS manages, such as ecr; empty for a customer's. current is the id of the material
-- that encrypts; NULL for keys of other than symmetric material and while none is imported. rotation_days is NULL while the key does not
-- rotate by itself.
CREATE TABLE kms_key (
    id               TEXT   NOT NULL PRIMARY KEY,
    account          TEXT   NOT NULL REFERENCES account (id),
    region           TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    description      TEXT   NOT NULL,
    spec             TEXT   NOT NULL,
    key_usage        TEXT   NOT NULL,
    origin           TEXT   NOT NULL,
    service          TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    deletion_at      BIGINT,
    deletion_days    BIGINT,
    policy           TEXT   NOT NULL,
    current_material TEXT,
    rotation_days    BIGINT,
    rotation_at      BIGINT,
    used_at          BIGINT,
    used_operation   TEXT
) WITHOUT ROWID;
CREATE INDEX kms_key_account ON kms_key (account, region, id);
CREATE UNIQUE INDEX kms_key_service ON kms_key (account, region, service) WHERE service <> '';
CREATE INDEX kms_key_deletion ON kms_key (deletion_at) WHERE deletion_at IS NOT NULL;
CREATE INDEX kms_key_rotation ON kms_key (rotation_at) WHERE rotation_at IS NOT NULL;

-- Material of keys, wrapped by the service key of the account and region and bound to its key and id. wrapped is NULL while
-- imported material is deleted or expired. kind says how it came: CREATED, AUTOMATIC, ON_DEMAND or IMPORTED; state is that of
-- the API: CURRENT, NON_CURRENT or one of those that wait. valid_to is when imported material expires.
CREATE TABLE kms_material (
    key         TEXT   NOT NULL REFERENCES kms_key (id),
    material_id TEXT   NOT NULL,
    wrapped     BYTEA,
    kind        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    valid_to    BIGINT,
    PRIMARY KEY (key, material_id)
);
CREATE INDEX kms_material_valid ON kms_material (valid_to) WHERE valid_to IS NOT NULL;

-- Names are without the alias/ before them.
CREATE TABLE kms_alias (
    account    TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    key        TEXT   NOT NULL REFERENCES kms_key (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, region, name)
) WITHOUT ROWID;
CREATE INDEX kms_alias_key ON kms_alias (key, name);

-- grantee and retiring are unique ids of users and roles, ARNs of accounts and sessions, or names of services; retiring may be
-- empty, and so may name. operations and constraints are JSON.
CREATE TABLE kms_grant (
    key         TEXT   NOT NULL REFERENCES kms_key (id),
    id          TEXT   NOT NULL,
    account     TEXT   NOT NULL,
    region      TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    grantee     TEXT   NOT NULL,
    retiring    TEXT   NOT NULL,
    issuer      TEXT   NOT NULL,
    operations  TEXT   NOT NULL,
    constraints TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (key, id)
);
CREATE INDEX kms_grant_name ON kms_grant (key, name, id) WHERE name <> '';
CREATE INDEX kms_grant_grantee ON kms_grant (key, grantee, id);
CREATE INDEX kms_grant_retiring ON kms_grant (retiring, account, region, key, id) WHERE retiring <> '';

CREATE TABLE kms_tag (
    key   TEXT NOT NULL REFERENCES kms_key (id),
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key, name)
) WITHOUT ROWID;
