-- Who there is and what they may do. An entity is known by its unique id (AIDA… a user, AGPA… a group, AROA… a role,
-- ANPA… a managed policy); names are unique without regard to case, which is what name_key is for. Documents are kept as
-- they were given, with the ARNs of users and roles as principals replaced by unique ids.

-- What has changed when, for processes that keep it in memory: one row a topic, numbered in the order of commits.
CREATE TABLE revision (
    topic  TEXT   NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX revision_number ON revision (number);

ALTER TABLE account ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN status TEXT NOT NULL DEFAULT 'ACTIVE';
ALTER TABLE account ADD COLUMN alias TEXT;
ALTER TABLE account ADD COLUMN password_policy TEXT;
-- Credentials that were issued before this time, sessions and registry tokens, are void; 0 for none.
ALTER TABLE account ADD COLUMN tokens_after BIGINT NOT NULL DEFAULT 0;
-- How long a registry token is good for, in seconds; 0 is the default.
ALTER TABLE account ADD COLUMN token_seconds BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX account_alias ON account (alias) WHERE alias IS NOT NULL;
CREATE INDEX account_email ON account (lower(email));

-- principal is the unique id of the user, or the ARN of the account's root.
ALTER TABLE access_key ADD COLUMN used_at BIGINT;
ALTER TABLE access_key ADD COLUMN used_service TEXT NOT NULL DEFAULT '';
ALTER TABLE access_key ADD COLUMN used_region TEXT NOT NULL DEFAULT '';
CREATE INDEX access_key_principal ON access_key (principal);

CREATE TABLE iam_user (
    id               TEXT   NOT NULL PRIMARY KEY,
    account          TEXT   NOT NULL REFERENCES account (id),
    name             TEXT   NOT NULL,
    name_key         TEXT   NOT NULL,
    path             TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    boundary         TEXT   NOT NULL,
    password         BYTEA,
    -- When there came to be a password, and when it was set last.
    password_made_at BIGINT,
    password_set_at  BIGINT,
    password_reset   BIGINT NOT NULL,
    password_used_at BIGINT,
    -- Hashes of earlier passwords, newest first, as JSON.
    password_history TEXT   NOT NULL,
    UNIQUE (account, name_key)
) WITHOUT ROWID;
CREATE INDEX iam_user_path ON iam_user (account, path, name_key);
CREATE INDEX iam_user_boundary ON iam_user (account, boundary) WHERE boundary <> '';

CREATE TABLE iam_group (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL REFERENCES account (id),
    name       TEXT   NOT NULL,
    name_key   TEXT   NOT NULL,
    path       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (account, name_key)
) WITHOUT ROWID;
CREATE INDEX iam_group_path ON iam_group (account, path, name_key);

CREATE TABLE iam_membership (
    member    TEXT NOT NULL,
    group_id  TEXT NOT NULL,
    PRIMARY KEY (member, group_id)
) WITHOUT ROWID;
CREATE INDEX iam_membership_group ON iam_membership (group_id, member);

CREATE TABLE iam_role (
    id             TEXT   NOT NULL PRIMARY KEY,
    account        TEXT   NOT NULL REFERENCES account (id),
    name           TEXT   NOT NULL,
    name_key       TEXT   NOT NULL,
    path           TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    boundary       TEXT   NOT NULL,
    trust          TEXT   NOT NULL,
    description    TEXT   NOT NULL,
    max_session    BIGINT NOT NULL,
    -- The service that a service-linked role belongs to; empty for others.
    linked_service TEXT   NOT NULL,
    used_at        BIGINT,
    used_region    TEXT   NOT NULL,
    UNIQUE (account, name_key)
) WITHOUT ROWID;
CREATE INDEX iam_role_path ON iam_role (account, path, name_key);
CREATE INDEX iam_role_boundary ON iam_role (account, boundary) WHERE boundary <> '';

-- Inline policies; owner is a user, group or role.
CREATE TABLE iam_inline (
    owner    TEXT NOT NULL,
    name     TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;

CREATE TABLE iam_policy (
    id              TEXT   NOT NULL PRIMARY KEY,
    account         TEXT   NOT NULL REFERENCES account (id),
    name            TEXT   NOT NULL,
    name_key        TEXT   NOT NULL,
    path            TEXT   NOT NULL,
    arn             TEXT   NOT NULL UNIQUE,
    description     TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    default_version BIGINT NOT NULL,
    last_version    BIGINT NOT NULL,
    UNIQUE (account, name_key)
) WITHOUT ROWID;
CREATE INDEX iam_policy_path ON iam_policy (account, path, name_key);

CREATE TABLE iam_policy_version (
    policy     TEXT   NOT NULL REFERENCES iam_policy (id),
    number     BIGINT NOT NULL,
    document   TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (policy, number)
) WITHOUT ROWID;

-- Managed policies by who they are attached to; policy is an ARN, since those of AWS have no row.
CREATE TABLE iam_attachment (
    owner   TEXT NOT NULL,
    policy  TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (owner, policy)
) WITHOUT ROWID;
CREATE INDEX iam_attachment_policy ON iam_attachment (account, policy, owner);

-- Tags of whatever has an owner: a unique id, or the ARN of a provider or device. Keys are unique without regard to case.
CREATE TABLE iam_tag (
    owner    TEXT NOT NULL,
    name_key TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (owner, name_key)
) WITHOUT ROWID;

-- Virtual MFA devices. The seed is sealed. drift is in steps of 30 s; a code of last_step or before is not taken again.
CREATE TABLE iam_mfa (
    serial     TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL REFERENCES account (id),
    name       TEXT   NOT NULL,
    path       TEXT   NOT NULL,
    seed       BYTEA  NOT NULL,
    -- The unique id of the user, the account's id for its root, or NULL while it isn't assigned.
    owner      TEXT,
    enabled_at BIGINT,
    drift      BIGINT NOT NULL,
    last_step  BIGINT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX iam_mfa_account ON iam_mfa (account, serial);
CREATE INDEX iam_mfa_owner ON iam_mfa (owner) WHERE owner IS NOT NULL;

-- Identity providers: kind is oidc or saml. clients and thumbprints are JSON; metadata is SAML's document.
CREATE TABLE iam_provider (
    arn         TEXT   NOT NULL PRIMARY KEY,
    account     TEXT   NOT NULL REFERENCES account (id),
    kind        TEXT   NOT NULL,
    url         TEXT   NOT NULL,
    clients     TEXT   NOT NULL,
    thumbprints TEXT   NOT NULL,
    metadata    TEXT   NOT NULL,
    uuid        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX iam_provider_account ON iam_provider (account, kind, arn);

-- When an entity last authenticated to a service, and which action it last called; action is empty for the service as a
-- whole.
CREATE TABLE iam_access (
    entity  TEXT   NOT NULL,
    service TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    region  TEXT   NOT NULL,
    PRIMARY KEY (entity, service, action)
) WITHOUT ROWID;

-- What is made in the background and asked for later: credential reports, jobs of service last accessed details, and
-- deletions of service-linked roles. body is JSON or the report itself.
CREATE TABLE iam_task (
    account    TEXT   NOT NULL REFERENCES account (id),
    kind       TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    PRIMARY KEY (account, kind, id)
) WITHOUT ROWID;
