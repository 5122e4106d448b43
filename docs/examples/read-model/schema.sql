CREATE TABLE permits (
  store TEXT NOT NULL,
  id TEXT NOT NULL,
  status TEXT NOT NULL,
  version INTEGER NOT NULL,
  changed_at TEXT NOT NULL,
  PRIMARY KEY (store, id)
);
CREATE TABLE progress (store TEXT PRIMARY KEY, position INTEGER NOT NULL);
