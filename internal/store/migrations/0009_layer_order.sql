-- oldest: 7
-- Layers are read in the order of their objects. SQLite adds the primary key to every index of such a table by itself.
CREATE INDEX layer_object_order ON layer (object, repository, digest);
DROP INDEX layer_object;
