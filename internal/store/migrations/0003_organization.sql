-- The organization: its root and organizational units as a tree, in which accounts hang. There is one, made at the first
-- start, whose management account is the first one.
CREATE TABLE organization (
    id         TEXT   NOT NULL PRIMARY KEY,
    management TEXT   NOT NULL REFERENCES account (id),
    root       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE organization_unit (
    id     TEXT NOT NULL PRIMARY KEY,
    parent TEXT NOT NULL,
    name   TEXT NOT NULL,
    UNIQUE (parent, name)
) WITHOUT ROWID;

-- The root or unit that an account hangs in.
CREATE TABLE organization_account (
    account   TEXT   NOT NULL PRIMARY KEY REFERENCES account (id),
    parent    TEXT   NOT NULL,
    joined_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX organization_account_parent ON organization_account (parent, account);

-- Service and resource control policies; type is SERVICE_CONTROL_POLICY or RESOURCE_CONTROL_POLICY. Managed are AWS's own.
CREATE TABLE organization_policy (
    id          TEXT   NOT NULL PRIMARY KEY,
    type        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    document    TEXT   NOT NULL,
    managed     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (type, name)
) WITHOUT ROWID;

-- target is the root, a unit or an account; type is that of the policy.
CREATE TABLE organization_attachment (
    target TEXT NOT NULL,
    type   TEXT NOT NULL,
    policy TEXT NOT NULL REFERENCES organization_policy (id),
    PRIMARY KEY (target, type, policy)
) WITHOUT ROWID;
CREATE INDEX organization_attachment_policy ON organization_attachment (policy, target);

-- Which types of policies are enabled in the root.
CREATE TABLE organization_policy_type (
    type TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- owner is the root, a unit, an account or a policy. Keys are unique without regard to case, which is what name_key is for.
CREATE TABLE organization_tag (
    owner    TEXT NOT NULL,
    name_key TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (owner, name_key)
) WITHOUT ROWID;

-- Requests to make accounts, whose state is asked for later; for 90 days.
CREATE TABLE organization_request (
    id           TEXT   NOT NULL PRIMARY KEY,
    account_name TEXT   NOT NULL,
    account      TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    completed_at BIGINT
) WITHOUT ROWID;
CREATE INDEX organization_request_requested ON organization_request (requested_at);
