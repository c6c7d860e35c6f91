-- oldest: 7
-- Each migration notes the first schema whose programs can work on after it.
ALTER TABLE schema_version ADD COLUMN oldest BIGINT NOT NULL DEFAULT 0;

-- What transactions changed that servers keep in memory, for those that share a PostgreSQL database: number is the transaction's id, as
-- PostgreSQL gave it, and topics are lines. A server reads what became visible since it looked last. Entries are kept for some minutes.
CREATE TABLE change (
    number BIGINT NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    topics TEXT   NOT NULL
) WITHOUT ROWID;
CREATE INDEX change_at ON change (at);

-- Work that one server at a time does in the background: when it is due, who does it until when, what came of it last.
CREATE TABLE job (
    name         TEXT   NOT NULL PRIMARY KEY,
    due_at       BIGINT NOT NULL,
    holder       TEXT   NOT NULL,
    held_until   BIGINT NOT NULL,
    started_at   BIGINT,
    finished_at  BIGINT,
    fault        TEXT   NOT NULL
) WITHOUT ROWID;
