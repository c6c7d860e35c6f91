-- oldest: 7
-- So that images that are pushed into one repository at once don't change one row, repository.images is counted up ahead, and a push takes
-- from one of several reserves: a repository has images minus the sum of free. To older programs it seems to have a few more.
CREATE TABLE image_reserve (
    repository BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    slot       BIGINT NOT NULL,
    free       BIGINT NOT NULL,
    PRIMARY KEY (repository, slot)
) WITHOUT ROWID;
