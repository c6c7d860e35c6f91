-- Times are microseconds since the Unix epoch. JSON is TEXT. Bytes that could tell something about content are sealed
-- before they get here (docs/format.md). The text is accepted by SQLite and PostgreSQL alike, but for WITHOUT ROWID,
-- which clusters a small table by its key in SQLite and is dropped for PostgreSQL.

CREATE TABLE setting (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE account (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE access_key (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL REFERENCES account (id),
    principal  TEXT   NOT NULL,
    secret     BYTEA  NOT NULL,
    active     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_key_account ON access_key (account);

CREATE TABLE service_key (
    id         TEXT   NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    wrapped    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (purpose, account, region)
);

-- A deleted repository gives up its name at once and loses its rows little by little.
CREATE TABLE repository (
    id                 BIGINT NOT NULL PRIMARY KEY,
    account            TEXT   NOT NULL REFERENCES account (id),
    region             TEXT   NOT NULL,
    name               TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    tag_mutability     TEXT   NOT NULL,
    mutability_filters TEXT   NOT NULL,
    scan_on_push       BIGINT NOT NULL,
    encryption_type    TEXT   NOT NULL,
    data_key           BYTEA  NOT NULL,
    images             BIGINT NOT NULL,
    deleted_at         BIGINT,
    UNIQUE (account, region, name)
);
CREATE INDEX repository_deleted ON repository (deleted_at) WHERE deleted_at IS NOT NULL;

-- The number of repositories of one registry, for its quota.
CREATE TABLE registry (
    account      TEXT   NOT NULL,
    region       TEXT   NOT NULL,
    repositories BIGINT NOT NULL,
    PRIMARY KEY (account, region)
) WITHOUT ROWID;

CREATE TABLE resource_tag (
    repository BIGINT NOT NULL REFERENCES repository (id),
    name       TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    PRIMARY KEY (repository, name)
) WITHOUT ROWID;

CREATE TABLE upload (
    id          TEXT   NOT NULL PRIMARY KEY,
    repository  BIGINT NOT NULL REFERENCES repository (id),
    object      TEXT   NOT NULL,
    data_key    BYTEA  NOT NULL,
    size        BIGINT NOT NULL,
    parts       BIGINT NOT NULL,
    last_part   BIGINT NOT NULL,
    short_part  BIGINT NOT NULL,
    state       BYTEA  NOT NULL,
    revision    BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_updated ON upload (updated_at);
CREATE INDEX upload_repository ON upload (repository);

-- A layer is a blob that one repository knows. Several layers may share an object, each with the data key wrapped for
-- its own repository. idle_since is set while no image of the repository refers to the layer.
CREATE TABLE layer (
    repository BIGINT NOT NULL REFERENCES repository (id),
    digest     TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    media_type TEXT   NOT NULL,
    domain     TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    data_key   BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    idle_since BIGINT,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX layer_domain ON layer (domain, digest);
CREATE INDEX layer_object ON layer (object);
CREATE INDEX layer_idle ON layer (idle_since) WHERE idle_since IS NOT NULL;

-- doomed_at is set when the subject of a referrer was deleted: the referrer follows it.
CREATE TABLE image (
    repository    BIGINT NOT NULL REFERENCES repository (id),
    digest        TEXT   NOT NULL,
    media_type    TEXT   NOT NULL,
    artifact_type TEXT   NOT NULL,
    subject       TEXT,
    manifest_size BIGINT NOT NULL,
    image_size    BIGINT NOT NULL,
    tags          BIGINT NOT NULL,
    pushed_at     BIGINT NOT NULL,
    pulled_at     BIGINT,
    doomed_at     BIGINT,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX image_doomed ON image (doomed_at) WHERE doomed_at IS NOT NULL;
-- Statements write +repository beside a subject: without statistics SQLite would else take the primary key, and read every
-- image of the repository.
CREATE INDEX image_subject ON image (subject, digest) WHERE subject IS NOT NULL;

CREATE TABLE manifest (
    repository BIGINT NOT NULL,
    digest     TEXT   NOT NULL,
    body       BYTEA  NOT NULL,
    PRIMARY KEY (repository, digest)
);

CREATE TABLE tag (
    repository BIGINT NOT NULL REFERENCES repository (id),
    name       TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
) WITHOUT ROWID;
CREATE INDEX tag_digest ON tag (repository, digest, name);

-- Which layers an image refers to, and which images an index refers to.
CREATE TABLE image_layer (
    repository BIGINT NOT NULL,
    image      TEXT   NOT NULL,
    layer      TEXT   NOT NULL,
    PRIMARY KEY (repository, image, layer)
) WITHOUT ROWID;
CREATE INDEX image_layer_layer ON image_layer (repository, layer);

CREATE TABLE image_child (
    repository BIGINT NOT NULL,
    parent     TEXT   NOT NULL,
    child      TEXT   NOT NULL,
    PRIMARY KEY (repository, parent, child)
) WITHOUT ROWID;
CREATE INDEX image_child_child ON image_child (repository, child);

-- Objects that no row refers to any more and that are yet to be removed from the blob store.
CREATE TABLE garbage (
    object TEXT   NOT NULL PRIMARY KEY,
    since  BIGINT NOT NULL
) WITHOUT ROWID;

-- A segment of the trail: one record for a change, in the change's transaction; up to some thousands for reads.
CREATE TABLE audit (
    id         BIGINT NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    region     TEXT   NOT NULL,
    first_time BIGINT NOT NULL,
    last_time  BIGINT NOT NULL,
    records    BIGINT NOT NULL,
    body       BYTEA  NOT NULL
);
CREATE INDEX audit_time ON audit (account, region, last_time);
