CREATE TABLE fanfare_apps (
    id TEXT NOT NULL PRIMARY KEY,
    app_key TEXT NOT NULL UNIQUE,
    secret TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    settings TEXT,
    version INTEGER NOT NULL DEFAULT 1
);
