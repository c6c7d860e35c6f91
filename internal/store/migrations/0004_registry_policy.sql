-- Repository policies, as ECR shows them, with unique ids for users and roles.
CREATE TABLE repository_policy (
    repository BIGINT NOT NULL PRIMARY KEY REFERENCES repository (id),
    document   TEXT   NOT NULL
);

-- The registry policy of an account in a region.
CREATE TABLE registry_policy (
    account  TEXT NOT NULL,
    region   TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, region)
) WITHOUT ROWID;

-- Settings of an account in a region that were put, such as REGISTRY_POLICY_SCOPE.
CREATE TABLE account_setting (
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) WITHOUT ROWID;
